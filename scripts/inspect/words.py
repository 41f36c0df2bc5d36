"""How a summary words what it has counted: one of it or several, and in an order that is fixed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from limner.messages.limiter.refusal import Refusal
from limner.messages.unicode import shown

ORDER = ("written", "completed", "failed", "timed_out", "cancelled", "skipped")
"""Outcomes and states, those first that are looked for first; others follow as they came."""

SLOTS = {
    "slot_granted": ("granted", "granted"),
    "slot_expired": ("expired", "expired"),
    "slot_asked_back": ("asked back", "asked back"),
    "slot_revoked": ("revoked", "revoked"),
    "request_dropped": ("request dropped", "requests dropped"),
    "request_withdrawn": ("request withdrawn", "requests withdrawn"),
}
"""What became of requests and slots: the event, and how one and several of it are called."""

TROUBLE = {
    "generation_failed": ("failed generation", "failed generations"),
    "keep_failed": ("picture not kept at once", "pictures not kept at once"),
    "call_abandoned": ("abandoned call", "abandoned calls"),
    "generation_late": ("late picture", "late pictures"),
    "generation_discarded": ("picture of a forgotten message", "pictures of forgotten messages"),
    "write_conflicted": ("write conflict", "write conflicts"),
    "lane_paused": ("pause of a lane", "pauses of lanes"),
    "circuit_open": ("circuit opened", "circuits opened"),
    "actor_failed": ("failed actor", "failed actors"),
    "dead_letter": ("dead letter", "dead letters"),
}

CALLS = {
    "in batches": ("in a batch", "in batches"),
    "one by one": ("by itself", "by themselves"),
}

OPEN = {
    "sessions": ("session", "sessions"),
    "tasks": ("task", "tasks"),
    "slots": ("slot", "slots"),
    "requests": ("request", "requests"),
}

Words = Mapping[str, tuple[str, str]]


def many(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(counts: Mapping[str, int]) -> str:
    """Return counts of outcomes or states as one line."""
    names = sorted(counts, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    return " · ".join(f"{counts[name]:,} {name.replace('_', ' ')}" for name in names)


def worded(counts: Mapping[str, int], words: Words) -> str:
    """Return those counts that are not 0 as one line, each in its words."""
    return " · ".join(
        f"{number:,} {words[name][number != 1]}"
        for name in words
        if (number := counts.get(name, 0))
    )


def refusal(reason: str) -> str:
    """Return why a request was dropped, without what is particular to one request or lane."""
    for known in Refusal:
        if reason.startswith(known.value):
            return known.value
    return shown(reason, 60) or "no reason given"


def moments(began: str, ended: str) -> str:
    """Return from when to when a log is, in whole seconds; an empty text if it does not say."""
    if not began or not ended:
        return ""
    return f", {_moment(began)} to {_moment(ended)}"


def _moment(at: str) -> str:
    try:
        moment = datetime.fromisoformat(at) + timedelta(seconds=0.5)
    except (ValueError, OverflowError):
        return shown(at[:19].replace("T", " "), 19)
    return f"{moment:%Y-%m-%d %H:%M:%S}"
