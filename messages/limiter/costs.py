"""What a call takes of budgets, as hosts name it."""

from collections.abc import Collection, Mapping

from limner.messages.errors import SettingsInvalid
from limner.messages.limiter.budget import MAX_UNITS

NO_COSTS: dict[str, int] = {}
"""Shared by the requests that name no costs; never changed."""

MAX_DEADLINE = 31 * 86_400
"""Seconds that a deadline may be away at most."""


def costs_of(given: object, known: Collection[str] | None = None) -> dict[str, int]:
    """Check costs, and return them: whole numbers from 0, by the names of budgets.

    Args:
        given: a table; `None` is the same as an empty one.
        known: the budgets that the lane and those upstream have; `None` if that is not known.

    Raises:
        SettingsInvalid: if it is anything else, or there is no such budget.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise SettingsInvalid(f"costs: a table such as {{'tokens': 1200}}, not {given!r:.80}")
    costs: dict[str, int] = {}
    for name, units in given.items():
        if known is not None and name not in known:
            there = ", ".join(map(repr, sorted(known))) or "none"
            raise SettingsInvalid(
                f"costs: no lane that the call passes has a budget {name!r:.80}; there is {there}"
            )
        if type(units) is not int or not 0 <= units <= MAX_UNITS:
            raise SettingsInvalid(
                f"costs: {name!r:.80} takes a whole number from 0 to {MAX_UNITS:,},"
                f" not {units!r:.80}"
            )
        costs[str(name)] = units
    return costs


def deadline_of(given: object) -> float | None:
    """Check a deadline, and return it: seconds from now above 0, up to 31 days; or `None`.

    Raises:
        SettingsInvalid: if it is anything else.
    """
    if given is None:
        return None
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 < given <= MAX_DEADLINE:
        return float(given)
    raise SettingsInvalid(
        f"deadline: seconds from now, above 0 and up to {MAX_DEADLINE:,}, not {given!r:.80}"
    )
