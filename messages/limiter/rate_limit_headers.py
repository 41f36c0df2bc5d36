"""What a back end says of its limits in the headers of an answer: how much is left, until when.

Read are, with names in any case:

- `x-ratelimit-{limit,remaining,reset}-NAME`, as OpenAI, Groq and Azure send them: `NAME` is
  `requests`, `tokens` or the like. `-limit`, `-remaining` and `-reset` alone, as GitHub and
  OpenRouter send them, or `-reset-after` (Discord), are of `requests`.
- `anthropic-ratelimit-NAME-{limit,remaining,reset}`.
- `RateLimit: "NAME";r=50;t=30` and `RateLimit-Policy: "NAME";q=100;w=60;qu="requests"`
  (draft-ietf-httpapi-ratelimit-headers, from 08 on). A policy named `default` has the name of its
  unit `qu`, which is `requests` by default. Units that are no rate, as `concurrent-requests`, are
  left out.
- `RateLimit: limit=100, remaining=50, reset=30` (the draft's 07) and `RateLimit-{Limit,Remaining,
  Reset}` (its 06 and earlier), both of `requests`.

In names, `-` becomes `_`: `input-tokens` is the budget `input_tokens`. A reset is a duration as Go
prints it (`6m0s`, `20ms`), seconds, seconds or milliseconds since 1970 if the number is that large,
a date and time (RFC 3339), or an HTTP date.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import mktime_tz, parsedate_tz
from typing import NamedTuple

REQUESTS = "requests"

MOST = 32
"""Limits that are read of one answer."""

LONGEST = 1e9
"""Seconds until a reset; one that is later is not read."""

_EPOCH, _EPOCH_MS = 1e9, 1e12
"""From these numbers on, a reset is a time since 1970, in seconds or milliseconds."""

_NAME = re.compile(r"[a-z0-9_]{1,64}")
_WHOLE = re.compile(r"(\d{1,15})(?:\.\d{0,20})?", re.ASCII)
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,20})?", re.ASCII)
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,12})?(?:ms|us|µs|μs|ns|d|h|m|s))+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|μs|ns|d|h|m|s)", re.ASCII)
_UNITS = {
    "d": 86_400.0,
    "h": 3_600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ns": 1e-9,
}
_ITEM = re.compile(r'\s*(?:"((?:[^"\\]|\\.){0,100})"|([A-Za-z*][\w.*:/-]{0,99}))')
_PARAMETER = re.compile(
    r'\s*;\s*([a-z*][\w.*-]{0,40})(?:=("(?:[^"\\]|\\.){0,200}"|[^;,"]{0,200}))?'
)
_MEMBER = re.compile(r"\s*([a-z]+)\s*=\s*(\d{1,15})\s*(?:;[^,]*)?(?:,|$)", re.ASCII)


class RateLimit(NamedTuple):
    """How much a back end grants yet, of one kind.

    Args:
        name: of the budget: `requests`, `tokens`, ….
        limit: what it grants in a window; `None` if it does not say.
        remaining: what is left of that; `None` if it does not say.
        resets_in: seconds until all of it is granted again; `None` if it does not say.
    """

    name: str
    limit: int | None = None
    remaining: int | None = None
    resets_in: float | None = None


def rate_limits(headers: Mapping[str, str], wall: float) -> tuple[RateLimit, ...]:
    """Return the limits that headers tell of, by name; of two with a name, that with less left.

    Args:
        headers: by their names in lower case, as `http_answers.read_headers` returns them.
        wall: the wall time, in seconds since 1970.
    """
    parts: dict[tuple[str, str], dict[str, str]] = {}
    found: dict[str, RateLimit] = {}
    for header, text in headers.items():
        if "ratelimit" not in header:
            continue
        if header == "ratelimit":
            for limit in _structured(text, headers.get("ratelimit-policy", "")):
                _add(found, limit)
            continue
        known = _field(header)
        if known is not None:
            family, name, part = known
            parts.setdefault((family, name), {})[part] = text
    for (_, name), texts in parts.items():
        remaining, most = _whole(texts.get("remaining", "")), _whole(texts.get("limit", ""))
        if remaining is not None:
            resets = seconds_until(texts.get("reset-after", texts.get("reset", "")), wall)
            _add(found, RateLimit(name, most, remaining, resets))
    return tuple(found.values())


def seconds_until(reset: str, wall: float) -> float | None:
    """Return the seconds until a reset, 0 if it is over; `None` if it cannot be read.

    Args:
        reset: as the header has it.
        wall: the wall time, in seconds since 1970.
    """
    text = reset.strip()[:100]
    if not text:
        return None
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number >= _EPOCH_MS:
            number = number / 1_000 - wall
        elif number >= _EPOCH:
            number -= wall
        return _bounded(number)
    if _DURATION.fullmatch(text):
        return _bounded(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))
    for read in (_rfc_3339, _http_date):
        try:
            moment = read(text)
        except (ValueError, OverflowError):
            continue
        if moment is not None:
            return _bounded(moment - wall)
    return None


def _field(header: str) -> tuple[str, str, str] | None:
    """Return family, budget and part of a header with one number; `None` if it is none of these."""
    family, _, rest = header.partition("ratelimit-")
    if family in ("x-", ""):
        part, _, name = rest.partition("-")
        if (part, name) == ("reset", "after"):
            part, name = "reset-after", ""
        if family == "" and name:
            return None
    elif family == "anthropic-":
        name, _, part = rest.rpartition("-")
    else:
        return None
    if part not in ("limit", "remaining", "reset", "reset-after"):
        return None
    budget = _name_of(name) if name else REQUESTS
    return None if budget is None else (family, budget, part)


def _structured(text: str, policies: str) -> Iterator[RateLimit]:
    """Parse `RateLimit`, as a list of items (draft 08 and later) or a dictionary (07)."""
    members = dict(_MEMBER.findall(text))
    if "remaining" in members:
        numbers = [members.get(part, "") for part in ("limit", "remaining", "reset")]
        limit, remaining, reset = (int(number) if number else None for number in numbers)
        yield RateLimit(REQUESTS, limit, remaining, None if reset is None else float(reset))
        return
    policy_of = dict(_items(policies))
    for policy, values in _items(text):
        remaining = _whole(values.get("r", ""))
        about = policy_of.get(policy, {})
        unit = about.get("qu", REQUESTS)
        name = _name_of(unit if policy == "default" else policy)
        if remaining is None or name is None or unit == "concurrent-requests":
            continue
        resets = values.get("t", "")
        yield RateLimit(
            name,
            _whole(about.get("q", "")),
            remaining,
            _bounded(float(resets)) if _NUMBER.fullmatch(resets) else None,
        )


def _items(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Parse a list of items with parameters (RFC 9651), up to what is no such list."""
    at = 0
    for _ in range(MOST):
        item = _ITEM.match(text, at)
        if item is None:
            return
        at, values = item.end(), {}
        while (parameter := _PARAMETER.match(text, at)) is not None:
            at = parameter.end()
            values[parameter[1]] = (parameter[2] or "").strip().strip('"')
        yield (item[1] if item[1] is not None else item[2]).lower(), values
        rest = text[at:].lstrip()
        if not rest.startswith(","):
            return
        at = text.index(",", at) + 1


def _add(found: dict[str, RateLimit], limit: RateLimit) -> None:
    before = found.get(limit.name)
    if before is None and len(found) >= MOST:
        return
    if before is None or (before.remaining or 0) > (limit.remaining or 0):
        found[limit.name] = limit


def _name_of(text: str) -> str | None:
    name = text.lower().replace("-", "_")
    return name if _NAME.fullmatch(name) else None


def _whole(text: str) -> int | None:
    """Return the first number of a header, such as `100` of `100, 100;w=60`; `None` if none."""
    number = _WHOLE.fullmatch(re.split(r"[,;]", text, maxsplit=1)[0].strip())
    return None if number is None else int(number[1])


def _rfc_3339(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _http_date(text: str) -> float | None:
    date = parsedate_tz(text)
    return None if date is None else float(mktime_tz(date))


def _bounded(seconds: float) -> float | None:
    return max(0.0, seconds) if seconds < LONGEST else None
