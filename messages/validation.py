"""Checks of a host's arguments: names, priorities, seconds, lanes and settings."""

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel, ValidationError

from limner.messages.errors import SettingsInvalid, UnknownMessage
from limner.messages.picture_requests import FORMER_MODES, Mode

PRIORITIES = {"active": 3, "background": 7}
"""The names of priorities; 0 is granted first, 9 last."""


MAX_NAME = 200
"""Characters of the name of a message, an owner or a lane at most."""


def message_id_of(given: object) -> str:
    """Check a message id, and return it: 1 to 200 printable characters.

    Raises:
        UnknownMessage: if it is anything else.
    """
    if not is_name(given):
        raise UnknownMessage(
            f"a message id is 1 to {MAX_NAME} printable characters, not {given!r:.80}"
        )
    return str(given)


def owner_of(given: object) -> str | None:
    """Check an owner, and return it: `None`, or 1 to 200 printable characters.

    Raises:
        SettingsInvalid: if it is anything else.
    """
    if given is None:
        return None
    if not is_name(given):
        raise SettingsInvalid(
            f"an owner is 1 to {MAX_NAME} printable characters, not {given!r:.80}"
        )
    return str(given)


_TASK = re.compile(r"[0-9a-f]{20}")


def task_id_of(given: object) -> str:
    """Check a task's id, and return it: 20 hexadecimal digits.

    Raises:
        SettingsInvalid: if it is anything else.
    """
    if not isinstance(given, str) or not _TASK.fullmatch(given):
        raise SettingsInvalid(
            f"a task's id is 20 hexadecimal digits, as events name it, not {given!r:.80}"
        )
    return given


def priority_of(given: object) -> int:
    """Check a priority, and return its number: 0 (first) to 9.

    Args:
        given: `active`, `background`, or the number.

    Raises:
        SettingsInvalid: if it is anything else.
    """
    number = PRIORITIES.get(given) if isinstance(given, str) else given
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 9:
        raise SettingsInvalid(f"a priority is 'active', 'background', or 0 to 9, not {given!r:.80}")
    return number


def weight_of(given: object) -> int:
    """Check the weight of a slot, and return it: a whole number from 1.

    Raises:
        SettingsInvalid: if it is anything else.
    """
    if type(given) is not int or given < 1:
        raise SettingsInvalid(f"weight: a whole number from 1, not {given!r:.80}")
    return given


def mode_of(given: object) -> Mode:
    """Check a mode, and return its name; one that had another name before may be given by that.

    Raises:
        SettingsInvalid: if it is anything else.
    """
    modes: tuple[Mode, ...] = get_args(Mode)
    if isinstance(given, str):
        name = FORMER_MODES.get(given, given)
        for mode in modes:
            if mode == name:
                return mode
    raise SettingsInvalid(f"mode: one of {', '.join(modes)}, not {given!r:.80}")


def is_name(name: object) -> bool:
    """Return whether this can be the name of a message or an owner."""
    return isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable()


MAX_FAULTS = 5
"""Faults that one error names."""

MAX_SECONDS = 86_400
"""Seconds that a pause, or the wait for a batch, may take at most."""


def seconds_of(name: str, given: object) -> float:
    """Check a number of seconds, and return it: 0 to 86,400.

    Args:
        name: what the seconds are for; the error names it.
        given: the number.

    Raises:
        SettingsInvalid: if it is anything else.
    """
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given <= MAX_SECONDS:
        return float(given)
    raise SettingsInvalid(f"{name}: 0 to {MAX_SECONDS:,} seconds, not {given!r:.80}")


def check_lane(lane: object, lanes: Collection[str], groups: Collection[str]) -> str:
    """Check the name of a lane, and return it.

    Args:
        lane: the name; `GROUP:KEY` for a lane of a group, which is made when it is needed.
        lanes: the lanes that there are.
        groups: the groups that there are.

    Raises:
        SettingsInvalid: if there is no such lane, and no group of which it can be.
    """
    if isinstance(lane, str) and lane in lanes:
        return lane
    if isinstance(lane, str) and ":" in lane and group_of(lane) in groups:
        if len(lane) <= MAX_NAME and lane.isprintable() and not lane.endswith(":"):
            return lane
        raise SettingsInvalid(
            f"a lane's name is its group, ':' and a key, {MAX_NAME} printable characters at most,"
            f" not {lane!r:.80}"
        )
    known = ", ".join((*map(repr, lanes), *(f"'{group}:KEY'" for group in groups)))
    raise SettingsInvalid(f"there is no lane {lane!r:.80}, only {known}")


def group_of(lane: str) -> str:
    """Return the group of a lane that has one: of `host:10.0.0.7` it is `host`."""
    return lane.partition(":")[0]


TAGS = frozenset(["(a number)", "(a table)"])
"""Kinds of a setting that may be given in several ways; they are no part of its name."""


def describe(error: ValidationError, *models: type[BaseModel]) -> str:
    """Return one line that says which settings are wrong, how, and what was given.

    Args:
        error: what Pydantic found.
        models: whose fields may have been meant by a name that there is not.
    """
    lines = []
    faults = error.errors(include_url=False)
    for fault in faults[:MAX_FAULTS]:
        name = ".".join(_shown(part) for part in fault["loc"] if part not in TAGS) or "settings"
        given = _represented(fault["input"])
        if fault["type"] == "extra_forbidden":
            known = [field for model in models for field in model.model_fields]
            meant = nearest(str(fault["loc"][-1]), known)
            question = f"; did you mean {meant}?" if meant else ""
            lines.append(f"{name}: there is no such setting{question}")
        elif fault["type"] == "value_error":
            lines.append(f"{name}: {fault['ctx']['error']}")
        else:
            message = fault["msg"][0].lower() + fault["msg"][1:]
            lines.append(f"{name}: {message}, not {given}")
    if len(faults) > MAX_FAULTS:
        lines.append(f"and {len(faults) - MAX_FAULTS:,} more")
    return "; ".join(lines)


def _represented(value: object) -> str:
    try:
        given = repr(value)
    except (RecursionError, ValueError):  # nested too deeply, or an integer of 5,000 digits
        return f"what it is ({type(value).__name__})"
    return given if len(given) <= 80 else given[:77] + "..."


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like another one; `None` if none is like it."""
    found = get_close_matches(name[:MAX_NAME].lower(), known, n=1)
    return found[0] if found else None


def _shown(part: int | str) -> str:
    text = str(part)
    return text if text.isprintable() and 0 < len(text) <= 80 else repr(text)[:80]
