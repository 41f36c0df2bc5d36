"""Status and headers of an HTTP answer, whichever library it comes from.

Read are an answer itself, and an exception that is or has one:

- of `requests`, `httpx`, `openai` and `anthropic`: `.status_code` and `.headers`;
- of `aiohttp`, its `ClientResponseError` too: `.status` and `.headers`;
- of `urllib` and `google.api_core`: `.code` and `.headers`;
- of `botocore`, which gives a mapping: `HTTPStatusCode` and `HTTPHeaders` in `ResponseMetadata`.

Of an exception these are looked for in its `.response` first, then in the exception itself.

Headers may be any mapping or object with `items()`, or pairs, as text or bytes, with names in any
case (RFC 9110, 5.1). All of these are somebody's objects with a back end's text: each is bounded,
whatever it raises is no error, and what cannot be read is not there.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import urlsplit

BUSY = frozenset([429, 503, 529])
"""Too Many Requests (RFC 6585), Service Unavailable (RFC 9110), and Anthropic's "overloaded"."""

MAX_HEADERS = 256
MAX_VALUE = 1_000
"""Headers that are looked at, and characters of a value that are kept."""

MAX_URL, MAX_HOST = 2_000, 300
"""Characters of a URL that are read, and of its host."""

_LISTS = frozenset(["ratelimit", "ratelimit-policy"])
"""Headers whose values may come in several lines (RFC 9110, 5.3)."""

PLAIN = frozenset([type(None), bool, int, float, str, bytes, list, tuple, set])
"""Types that are no answers; a call returns one of these most often."""


class HttpAnswer(NamedTuple):
    """What is read of an answer.

    Args:
        status: from 100 to 599.
        headers: those about limits, by their names in lower case.
        host: of its URL, with the port if it has one; `None` if that is not known.
    """

    status: int
    headers: Mapping[str, str]
    host: str | None = None

    @property
    def busy(self) -> bool:
        """Whether the back end asks to be called later."""
        return self.status in BUSY


def answer_of_error(error: BaseException | None) -> HttpAnswer | None:
    """Return the answer that an exception is or has; `None` if it has no status."""
    if error is None:
        return None
    try:
        response = getattr(error, "response", None)
        found = None if response is None else _read(response)
        if found is None:
            found = _read(error)
        if found is None:
            return None
        host = _host(response) or _host(error)
        return HttpAnswer(found[0], read_headers(found[1]), host)
    except BaseException:  # noqa: BLE001  # attributes may be any code
        return None


def answer_of_value(value: object) -> HttpAnswer | None:
    """Return the HTTP answer that a call has returned; `None` if it has returned anything else.

    It is one if it has headers beside its status: a status alone may be anything.
    """
    if type(value) in PLAIN:
        return None
    try:
        found = _read(value)
        if found is None or found[1] is None:
            return None
        return HttpAnswer(found[0], read_headers(found[1]), _host(value))
    except BaseException:  # noqa: BLE001
        return None


def headers_of(given: object) -> Mapping[str, str]:
    """Return the headers of an answer, of an exception, or that are given themselves."""
    found = answer_of_value(given)
    if found is None and isinstance(given, BaseException):
        found = answer_of_error(given)
    if found is not None:
        return found.headers
    try:
        own = getattr(given, "headers", None)
    except BaseException:  # noqa: BLE001
        own = None
    return read_headers(given if own is None else own)


def read_headers(headers: Any) -> Mapping[str, str]:
    """Return the headers about limits, by their names in lower case; the first of several.

    `rate-limit` in a name is read as `ratelimit`.

    Args:
        headers: a mapping, an object with `items()`, or pairs.
    """
    found: dict[str, str] = {}
    try:
        items = getattr(headers, "items", None)
        pairs: Iterable[Any] = headers if items is None else items()
        for name, value in islice(pairs, MAX_HEADERS):
            known = _text(name, 100).lower().replace("rate-limit", "ratelimit")
            if not ("ratelimit" in known or "retry-after" in known):
                continue
            text = _text(value, MAX_VALUE)
            if known in _LISTS and known in found:
                text = f"{found[known]}, {text}"[:MAX_VALUE]
            elif known in found:
                continue
            found[known] = text
    except BaseException:  # noqa: BLE001
        return found
    return found


def _read(holder: Any) -> tuple[int, Any] | None:
    """Return status and headers of an object or of botocore's mapping; `None` without a status."""
    if isinstance(holder, Mapping):
        about = holder.get("ResponseMetadata")
        if not isinstance(about, Mapping):
            return None
        status = _status(about.get("HTTPStatusCode"))
        return None if status is None else (status, about.get("HTTPHeaders"))
    for name in ("status_code", "status", "code"):
        status = _status(getattr(holder, name, None))
        if status is not None:
            return status, getattr(holder, "headers", None)
    return None


def _host(holder: Any) -> str | None:
    """Return the host of the URL that an object has, or the request that it has; else `None`."""
    for path in (("url",), ("request", "url"), ("request_info", "real_url")):
        url: Any = holder
        for name in path:
            url = _attribute(url, name)
        try:
            host = "" if url is None else urlsplit(str(url)[:MAX_URL]).netloc
        except BaseException:  # noqa: BLE001
            host = ""
        if host:
            return host.rpartition("@")[2].lower()[:MAX_HOST]
    return None


def _attribute(holder: Any, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except BaseException:  # noqa: BLE001
        return None


def _status(given: object) -> int | None:
    if isinstance(given, int) and not isinstance(given, bool) and 100 <= given <= 599:
        return int(given)
    return None


def _text(given: object, limit: int) -> str:
    if isinstance(given, bytes):
        given = given[:limit].decode("latin-1")
    return given[:limit].strip() if isinstance(given, str) else ""
