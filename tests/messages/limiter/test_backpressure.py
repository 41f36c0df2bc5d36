"""What the end of a call says about its back end."""

from datetime import timedelta
from email.message import Message
from email.utils import formatdate
from http import HTTPStatus
from types import SimpleNamespace
from urllib.error import HTTPError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.errors import GenerationFailed
from limner.messages.limiter.backpressure import (
    GOOD,
    has_failed,
    host_call_failed,
    is_overload,
    retry_after,
    verdict_of_batch,
    verdict_of_error,
    verdict_of_value,
)

NOW = 1_790_000_000.0


class Answered(Exception):
    def __init__(self, status, header):
        super().__init__()
        self.response = SimpleNamespace(status_code=status, headers={"Retry-After": header})


class Carried(Exception):
    """As `requests` and `httpx` raise it, with whatever headers."""

    def __init__(self, status, headers):
        super().__init__()
        self.response = SimpleNamespace(status_code=status, headers=headers)


class Aiohttp(Exception):
    """A `ClientResponseError`: https://docs.aiohttp.org/en/stable/client_reference.html."""

    def __init__(self, status, headers):
        super().__init__()
        self.status, self.headers, self.code = status, headers, 200


class Botocore(Exception):
    """A `ClientError`, whose `response` is a mapping."""

    def __init__(self, status, headers):
        super().__init__()
        about = {"HTTPStatusCode": status, "HTTPHeaders": headers}
        self.response = {"Error": {"Code": "SlowDown"}, "ResponseMetadata": about}


class Mean(Exception):
    """Its properties end whoever looks at them."""

    @property
    def retry_after(self):
        raise SystemExit

    retryable = response = status_code = status = code = headers = retry_after


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
        (Answered(529, "4"), 4),
        (Answered(429, "1.5"), 1.5),
        (Answered(429, "0.25"), 0.25),
        (Answered(429, "-1"), None),
        (Answered(429, "nan"), None),
        (Answered(429, "inf"), None),
        (Answered(429, "1e3"), None),
        (Answered(429, "٣"), None),
        (Answered(429, formatdate(NOW + 90, usegmt=True).replace("GMT", "+0100")), None),
        (Answered(429, "Fri, 99 Foo 2026 99:99:99 GMT"), None),
        (Carried(429, {"retry-after-ms": "250", "Retry-After": "9"}), 0.25),
        (Carried(429, {"Retry-After-Ms": "soon", "Retry-After": "9"}), 9),
        (Carried(429, {"x-ms-retry-after-ms": "1500"}), 1.5),
        (Carried(429, {"RETRY-AFTER": "9"}), 9),
        (Carried(429, {b"retry-after": b"9"}), 9),
        (Carried(429, [("retry-after", "9"), ("retry-after", "1")]), 9),
        (Carried(429, None), None),
        (Carried(429, 7), None),
        (Carried(429, [("retry-after",)]), None),
        (Carried(HTTPStatus.SERVICE_UNAVAILABLE, {"retry-after": "9"}), 9),
        (Carried(True, {"retry-after": "9"}), None),
        (Aiohttp(429, {"retry-after": "9"}), 9),
        (Aiohttp(404, {"retry-after": "9"}), None),
        (Botocore(503, {"retry-after": "9"}), 9),
        (Botocore("503", {"retry-after": "9"}), None),
        (GenerationFailed("busy", retry_after=timedelta(seconds=2)), 2),
        (GenerationFailed("busy", retry_after="soon"), None),
        (GenerationFailed("busy", retry_after=1e300), None),
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


def answered(status, headers, **fields):
    return SimpleNamespace(status_code=status, headers=headers, **fields)


@pytest.mark.parametrize("status", [429, 503, 529])
@pytest.mark.parametrize("where", ["status_code", "status", "code", "botocore"])
def test_an_answer_that_says_later_is_a_failure_of_its_back_end(status, where):
    headers = {"rEtRy-AfTeR": "2.5"}
    answer = SimpleNamespace(**{where: status}, headers=headers)
    if where == "botocore":
        answer = {"ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers}}
    verdict = verdict_of_value(answer, NOW)
    assert verdict[:4] == (True, verdict.error, 2.5, True)
    assert str(status) in verdict.error.public


@pytest.mark.parametrize(
    "value",
    [
        None,
        429,
        "429",
        {"status": 429, "headers": {"retry-after": "9"}},
        SimpleNamespace(status=503),
        SimpleNamespace(status_code="429", headers={}),
        answered(200, {"retry-after": "9"}),
        answered(500, {"retry-after": "9"}),
        answered(True, {}),
        Mean(),
    ],
)
def test_any_other_value_is_a_success(value):
    assert verdict_of_value(value, NOW) is GOOD


def test_a_success_tells_what_is_left_of_the_limits():
    headers = {"X-RateLimit-Remaining-Requests": "7", "x-ratelimit-reset-requests": "1m0s"}
    verdict = verdict_of_value(answered(200, headers), NOW)
    assert not verdict.failed
    assert verdict.limits == (("requests", None, 7, 60.0),)
    assert verdict_of_error(Carried(403, headers), NOW).limits == verdict.limits


def test_a_batch_tells_the_worst_of_its_results():
    busy, busier = (answered(429, {"retry-after": seconds}) for seconds in ("2", "9"))
    results = [(busy, None), (1, None), (None, Carried(503, {"retry-after": "4"})), (busier, None)]
    verdict = verdict_of_batch(results, NOW)
    assert (verdict.failed, verdict.retry_after, verdict.overloaded) == (True, 9, True)
    assert verdict_of_batch([(1, None), (None, KeyError("x"))], NOW) is GOOD


class Timeout(OSError):
    """As `requests` names it."""


def test_time_outs_and_busy_answers_say_that_there_was_too_much_to_do():
    overloads = (TimeoutError(), Timeout(), Carried(429, {}), Aiohttp(529, {}), Botocore(503, {}))
    assert all(is_overload(error) for error in overloads)
    assert not any(
        is_overload(error) for error in (OSError(), Carried(500, {}), Mean(), KeyError())
    )


class Endless(dict):
    def items(self):
        while True:
            yield "x-ratelimit-remaining", "9" * 10**6


def test_headers_without_end_are_read_to_a_bound():
    verdict = verdict_of_value(answered(429, Endless()), NOW)
    assert verdict.failed
    assert verdict.retry_after is None


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.binary(), inner),
    max_leaves=6,
)


@given(ANY, ANY, ANY, st.sampled_from([429, 503, 200]))
def test_whatever_an_answer_is_made_of_is_no_error(headers, retry, response, status):
    error = GenerationFailed("no", retry_after=retry)
    error.response, error.status_code, error.headers = response, status, headers
    for verdict in (
        verdict_of_error(error, NOW, own=True),
        verdict_of_value(answered(status, headers), NOW),
        verdict_of_value(response, NOW),
    ):
        assert verdict.retry_after is None or 0 < verdict.retry_after < 1e9
