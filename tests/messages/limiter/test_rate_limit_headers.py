"""What a back end says of its limits, in each of the forms that there are."""

from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from limner.messages.limiter.http_answers import headers_of, read_headers
from limner.messages.limiter.rate_limit_headers import MOST, rate_limits, seconds_until

NOW = 1_790_000_000.0


def iso(seconds):
    return datetime.fromtimestamp(NOW + seconds, UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("20ms", 0.02),
        ("1h2m3.5s", 3723.5),
        ("1d", 86_400),
        ("59.5ms", 0.0595),
        ("30", 30),
        ("0", 0),
        ("1.5", 1.5),
        (str(int(NOW) + 42), 42),
        (str((int(NOW) + 42) * 1_000), 42),
        (str(int(NOW) - 42), 0),
        (iso(60), 60),
        (iso(-60), 0),
        ("2026-09-21T14:13:20", 0),
        (formatdate(NOW + 90, usegmt=True), 90),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("1e3", None),
        ("5 s", None),
        ("9" * 15 + "d", None),
        ("9" * 9 + "d", None),
        ("9999-99-99T99:99:99Z", None),
    ],
)
def test_a_reset_is_read_in_each_of_its_forms(reset, seconds):
    found = seconds_until(reset, NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


OPENAI = {
    "x-ratelimit-limit-requests": "60",
    "x-ratelimit-limit-tokens": "150000",
    "x-ratelimit-remaining-requests": "59",
    "x-ratelimit-remaining-tokens": "149984",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-reset-tokens": "6m0s",
}
ANTHROPIC = {
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-remaining": "999",
    "anthropic-ratelimit-requests-reset": iso(1),
    "anthropic-ratelimit-input-tokens-limit": "80000",
    "anthropic-ratelimit-input-tokens-remaining": "79000",
    "anthropic-ratelimit-input-tokens-reset": iso(30),
    "anthropic-ratelimit-unified-status": "allowed",
}


@pytest.mark.parametrize(
    ("headers", "limits"),
    [
        (OPENAI, [("requests", 60, 59, 1), ("tokens", 150_000, 149_984, 360)]),
        (ANTHROPIC, [("requests", 1_000, 999, 1), ("input_tokens", 80_000, 79_000, 30)]),
        (
            {
                "X-RateLimit-Limit": "5000",
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(int(NOW) + 600),
                "X-RateLimit-Used": "5000",
                "X-RateLimit-Resource": "core",
            },
            [("requests", 5_000, 0, 600)],
        ),
        (
            {
                "X-RateLimit-Limit": "5",
                "X-RateLimit-Remaining": "4",
                "X-RateLimit-Reset": "1470173023.123",
                "X-RateLimit-Reset-After": "1.25",
                "X-RateLimit-Bucket": "abcd1234",
            },
            [("requests", 5, 4, 1.25)],
        ),
        ({"x-rate-limit-remaining": "3"}, [("requests", None, 3, None)]),
        (
            {
                "RateLimit-Limit": "100, 100;w=60",
                "RateLimit-Remaining": "9",
                "RateLimit-Reset": "50",
            },
            [("requests", 100, 9, 50)],
        ),
        ({"RateLimit": "limit=100, remaining=50, reset=30"}, [("requests", 100, 50, 30)]),
        (
            {"RateLimit": '"default";r=50;t=30', "RateLimit-Policy": '"default";q=100;w=60'},
            [("requests", 100, 50, 30)],
        ),
        (
            {
                "RateLimit-Policy": '"burst";q=100;w=60,"daily";q=1000;w=86400',
                "RateLimit": '"burst";r=5;t=3, "daily";r=700;t=3600',
            },
            [("burst", 100, 5, 3), ("daily", 1_000, 700, 3_600)],
        ),
        (
            {
                "RateLimit-Policy": '"default";q=65535;qu="content-bytes";w=10;pk=:dHJpYWw=:',
                "RateLimit": '"default";r=9;t=1;pk=:dHJpYWw=:',
            },
            [("content_bytes", 65_535, 9, 1)],
        ),
        (
            {
                "RateLimit-Policy": '"open";q=9;qu="concurrent-requests"',
                "RateLimit": '"open";r=0',
            },
            [],
        ),
        (
            [("RateLimit", '"a";r=1'), ("RateLimit", '"b";r=2')],
            [("a", None, 1, None), ("b", None, 2, None)],
        ),
        ({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-limit-tokens": "-1"}, []),
        ({"x-ratelimit-remaining": "nan"}, []),
        ({"x-ratelimit-limit": "9"}, []),
        ({"RateLimit": "bananas"}, []),
        ({"RateLimit": '"a";r=x;t=1'}, []),
        ({"x-ratelimit-remaining": "5", "ratelimit-remaining": "3"}, [("requests", None, 3, None)]),
    ],
)
def test_limits_are_read_in_each_of_their_forms(headers, limits):
    found = rate_limits(read_headers(headers), NOW)
    assert [limit[:3] for limit in found] == [limit[:3] for limit in limits]
    assert [limit.resets_in for limit in found] == [
        limit[3] if limit[3] is None else pytest.approx(limit[3]) for limit in limits
    ]


def test_no_answer_has_more_limits_than_are_read():
    headers = {f"x-ratelimit-remaining-{number}": "1" for number in range(200)}
    assert len(rate_limits(read_headers(headers), NOW)) == MOST


@given(
    st.dictionaries(
        st.sampled_from([*OPENAI, *ANTHROPIC, "ratelimit", "ratelimit-policy"]), st.text()
    )
)
@example({"ratelimit": '"' + "\\\\" * 500})
@example({"ratelimit": '"a";r=1' * 100})
def test_whatever_headers_say_gives_numbers_within_bounds(headers):
    for limit in rate_limits(read_headers(headers), NOW):
        assert limit.remaining >= 0
        assert limit.resets_in is None or 0 <= limit.resets_in < 1e9


def test_headers_are_given_by_themselves_or_with_their_answer():
    class Answer:
        status_code, headers = 200, OPENAI

    class Failed(Exception):
        response = Answer

    for given_ in (OPENAI, list(OPENAI.items()), Answer(), Failed()):
        assert headers_of(given_) == OPENAI
    assert headers_of(None) == headers_of(7) == {}
