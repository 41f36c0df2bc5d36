"""HTTP answers in the shapes that libraries and back ends give them, drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Any

LATER = (429, 503, 529)
"""The statuses that say later."""

SECONDS = 20
"""Seconds that an answer asks to wait, at most."""

Draw = Callable[[], float]
Headers = list[tuple[str, str]]


class DrawnAnswer(Exception):
    """An answer of a back end, which some libraries raise and others return.

    Args:
        number: of the call, and what it gives.
        values: its attributes, as a library names them.
    """

    def __init__(self, number: int, values: Mapping[str, Any]) -> None:
        super().__init__(f"status of call {number}")
        self.number = number
        vars(self).update(values)


def busy(number: int, draw: Draw) -> DrawnAnswer:
    """Return an answer that says later; how it says that, and until when, is drawn."""
    status = LATER[int(draw() * len(LATER))]
    return _answer(number, status, _retry_headers(draw), draw)


def good(number: int, draw: Draw) -> DrawnAnswer:
    """Return an answer of a success; it tells what is left of the back end's limits."""
    return _answer(number, 200, _limit_headers(draw), draw)


def _answer(number: int, status: int, headers: Headers, draw: Draw) -> DrawnAnswer:
    given: Any = headers if draw() < 0.3 else dict(headers)
    about = {"HTTPStatusCode": status, "HTTPHeaders": given}
    shapes: tuple[dict[str, Any], ...] = (
        {"status_code": status, "headers": given},
        {"status": status, "headers": given, "url": "http://image/v1"},
        {"code": status, "headers": given},
        {"response": {"ResponseMetadata": about}},
    )
    return DrawnAnswer(number, shapes[int(draw() * len(shapes))])


def _retry_headers(draw: Draw) -> Headers:
    seconds = draw() * SECONDS
    kinds: tuple[Headers, ...] = (
        [("Retry-After", f"{seconds:.0f}")],
        [("retry-after", f"{seconds:.3f}")],
        [("Retry-After-Ms", f"{seconds * 1_000:.0f}"), ("RETRY-AFTER", "86400")],
        [("Retry-After", formatdate(seconds, usegmt=True))],
        [("Retry-After", "-1")],
        [],
    )
    return kinds[int(draw() * len(kinds))] + _limit_headers(draw)


def _limit_headers(draw: Draw) -> Headers:
    left, seconds = int(draw() * 5), draw() * SECONDS
    kinds: tuple[Headers, ...] = (
        [
            ("x-ratelimit-limit-requests", "5"),
            ("x-ratelimit-remaining-requests", f"{left}"),
            ("x-ratelimit-reset-requests", f"{seconds * 1_000:.0f}ms"),
        ],
        [
            ("anthropic-ratelimit-tokens-remaining", f"{left}"),
            ("anthropic-ratelimit-tokens-reset", "2000-01-01T00:00:00Z"),
        ],
        [("X-RateLimit-Remaining", f"{left}"), ("X-RateLimit-Reset", f"{seconds:.0f}")],
        [("RateLimit", f'"default";r={left};t={seconds:.0f}')],
        [("RateLimit-Remaining", f"{left}"), ("RateLimit-Reset", f"{seconds:.0f}")],
        [("x-ratelimit-remaining", "nan")],
    )
    return kinds[int(draw() * len(kinds))]
