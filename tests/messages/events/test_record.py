"""One line of a log: an event, or foreign; and what is read from an event."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.events.record import micros, opens_run, parse

GOOD = b'{"seq":1,"t":0.25,"event":"studio_opened"}'


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b'"text"',
        b"[]",
        b"{}",
        b'{"seq":1,"t":0}',
        b'{"seq":1,"event":"x"}',
        b'{"seq":1.0,"t":0,"event":"x"}',
        b'{"seq":1,"t":"0","event":"x"}',
        b'{"seq":1,"t":true,"event":"x"}',
        b'{"seq":1,"t":1e400,"event":"x"}',
        b'{"seq":1,"t":1e200,"event":"x"}',
        b'{"seq":1,"t":NaN,"event":"x"}',
        b'{"seq":1,"t":0,"event":null}',
        b'{"seq":123456789012345678901234567890,"t":0,"event":"x"}',
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_event_is_foreign(line):
    assert parse(line) is None


@given(st.binary(max_size=60), st.integers(0, 40))
def test_any_bytes_are_an_event_or_foreign(noise, where):
    event = parse(GOOD[:where] + noise + GOOD[where:])
    assert event is None or type(event["seq"]) is int


def test_a_time_is_the_integer_microseconds_that_it_was_written_from():
    for number in (0, 1, 3_201_874, 86_399_999_999, 10**14 + 1):
        event = parse(orjson.dumps({"seq": 1, "t": number / 1_000_000, "event": "x"}))
        assert event is not None
        assert micros(event) == number
    assert opens_run(parse(GOOD) or {})
