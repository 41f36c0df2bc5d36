"""What the end of a call says about its back end."""

from email.message import Message
from email.utils import formatdate
from types import SimpleNamespace
from urllib.error import HTTPError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.errors import GenerationFailed
from limner.messages.limiter.backpressure import has_failed, host_call_failed, retry_after

NOW = 1_790_000_000.0


class Answered(Exception):
    def __init__(self, status, header):
        super().__init__()
        self.response = SimpleNamespace(status_code=status, headers={"Retry-After": header})


class Mean(Exception):
    """Its properties end whoever looks at them."""

    @property
    def retry_after(self):
        raise SystemExit

    retryable = response = retry_after


def said(seconds):
    headers = Message()
    headers["Retry-After"] = seconds
    return headers


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (None, None),
        (ValueError("no"), None),
        (GenerationFailed("busy"), None),
        (GenerationFailed("busy", retry_after=2.5), 2.5),
        (GenerationFailed("busy", retry_after=-1), None),
        (GenerationFailed("busy", retry_after=float("nan")), None),
        (Answered(429, "120"), 120),
        (Answered(503, " 7 "), 7),
        (Answered(500, "7"), None),
        (Answered(429, formatdate(NOW + 90, usegmt=True)), 90),
        (Answered(429, formatdate(NOW - 90, usegmt=True)), None),
        (Answered(429, "9" * 50), None),
        (Answered(429, "soon"), None),
        (HTTPError("http://b/", 429, "busy", Message(), None), None),
        (HTTPError("http://b/", 429, "busy", said("33"), None), 33),
        (Mean(), None),
    ],
)
def test_a_back_end_that_asks_to_be_left_alone_is_understood(error, seconds):
    assert retry_after(error, NOW) == seconds


@given(st.one_of(st.text(), st.none(), st.integers(), st.binary()), st.sampled_from([429, "x"]))
def test_whatever_a_back_end_answers_is_no_error(header, status):
    found = retry_after(Answered(status, header), NOW)
    assert found is None or 0 < found < 1e9


def test_only_what_a_retry_may_mend_speaks_against_a_back_end():
    assert has_failed(None) is False
    assert has_failed(ConnectionError()) is True
    assert has_failed(GenerationFailed("refused", retryable=False)) is None


def test_a_slip_of_the_host_s_own_says_nothing_of_the_back_end():
    assert host_call_failed(None) is False
    assert host_call_failed(KeyError("x")) is None
    assert host_call_failed(ConnectionError()) is True
    assert host_call_failed(Answered(500, "")) is True
    assert host_call_failed(GenerationFailed("busy")) is True
    assert host_call_failed(Mean()) is None
    assert has_failed(Mean()) is True
