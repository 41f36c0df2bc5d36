"""Parsing of configuration that may be anything: TOML files, and JSON in the environment."""

import json
from tomllib import TOMLDecodeError, loads
from typing import Any

from limner.messages.errors import SettingsInvalid
from limner.messages.unicode import shown

MAX_BYTES = 1_000_000
"""Bytes of a file of settings, at most."""

MAX_DEPTH = 32
"""Tables and lists within each other, at most."""

TOO_DEEP = "it is nested too deeply"


def parse_toml(data: bytes) -> dict[str, Any]:
    """Parse a TOML file.

    Raises:
        SettingsInvalid: with the reason alone, as in "it is no TOML: …", in one line.
    """
    if len(data) > MAX_BYTES:
        raise SettingsInvalid(f"it has more than {MAX_BYTES:,} bytes")
    try:
        values = loads(data.decode("utf-8"))
    except (TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"it is no TOML: {shown(str(error), 200)}") from None
    except ValueError as error:  # such as an integer of 5,000 digits
        raise SettingsInvalid(f"it cannot be read: {shown(str(error), 200)}") from None
    except RecursionError:
        raise SettingsInvalid(TOO_DEEP) from None
    _check_depth(values)
    return values


def parse_json(text: str | bytes | bytearray) -> Any:
    """Parse a JSON value.

    Raises:
        SettingsInvalid: with the reason alone, in one line.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise SettingsInvalid(TOO_DEEP) from None
    except ValueError as error:
        raise SettingsInvalid(f"it is no JSON: {shown(str(error), 200)}") from None
    _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    """Raise for what is nested so deeply that those who handle it would fail."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise SettingsInvalid(TOO_DEEP)
