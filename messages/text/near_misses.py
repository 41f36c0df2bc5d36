"""Find the places of a text that look like a prompt tag and are none.

A model that was shown the tags writes some of them a little differently. Nothing is drawn there, so
people are told where, and in what the place differs from a tag.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import regex

from limner.messages.prompts import NearMiss, NearMissKind, PromptMatch
from limner.messages.text.notation import Notation
from limner.messages.text.patterns import DEFAULT_PATTERNS, compile_patterns
from limner.messages.text.scanner import find_ignored, prompt_of
from limner.messages.text.tolerant import TOLERANT_PATTERNS

MAX_NEAR_MISSES: Final = 20
"""Near misses that are returned for one text; the search ends with the last of them."""

MAX_SHOWN: Final = 80
"""Characters of a near miss that are shown."""

MAX_EXAMINED: Final = 1_000
"""Places that are looked at closely in one text; the search ends with the last of them."""

REACH: Final = 10_000
"""Characters that are searched for the end of a near miss."""

_BEGUN = re.compile(
    r"""
    (?P<open> < | &(?:amp;){0,4}lt; )
    (?P<mark> !? [-\u2010-\u2015]{0,3} )
    (?P<space> \s{0,9} )
    (?P<name> (?i:im(?:g|age)) [-_\ \u2010-\u2015]? (?i:prompt) )
    (?P<is> \s{0,9} [=:]? \s{0,9} )
    (?P<quote> \\" | &(?:amp;){0,4}(?:quot|apos|\#34|\#39); | ["'`\u2018-\u201f\u2039\u00ab] | )
    """,
    re.VERBOSE,
)
_CLOSED = re.compile(
    r"""^\s*(?:\\"|&(?:amp;){0,4}(?:quot|apos|\#34|\#39);|["'`\u2018-\u201f\u203a\u00bb])"""
)
_DECODED = re.compile("&(?:amp;){0,4}gt;")
_NAMES = {True: ("img-prompt",), False: ("img-prompt", "img_prompt")}  # by whether it is a comment
_UNESCAPED = re.compile(r'(?<!\\)(?:\\\\)*"')


def find_near_misses(
    text: str,
    matches: Sequence[PromptMatch] = (),
    patterns: Sequence[str] = DEFAULT_PATTERNS,
    *,
    max_tag: int = 2_000,
    skipped: Sequence[tuple[int, int]] = (),
) -> tuple[NearMiss, ...]:
    """Find the places of a text that look like a prompt tag and are none.

    What looks like one is a tag of the default patterns, written a little differently. If the
    patterns in use have nothing of the kind, such places are of interest only in a text without any
    prompt.

    The time is linear in the length of the text.

    Args:
        text: the text.
        matches: its prompt tags, in order.
        patterns: the patterns by which they were found.
        max_tag: characters of one tag at most.
        skipped: where begins and ends what is not searched, in order.

    Returns:
        The first 20 of them, in the order of the text.
    """
    if matches and not any(_NAMED.search(source) for source in patterns):
        return ()
    found = _search(text, matches, tuple(patterns), max_tag, skipped)
    return tuple(islice(found, MAX_NEAR_MISSES))


def near_misses_of(
    text: str, matches: Sequence[PromptMatch], notation: Notation
) -> tuple[NearMiss, ...]:
    """Return what `find_near_misses` finds in a whole text.

    Args:
        text: the text.
        matches: its prompt tags, in order.
        notation: how prompts stand in it.
    """
    skipped = find_ignored(
        text,
        notation.patterns,
        max_tag=notation.max_tag,
        timeout=notation.timeout,
        ignore=notation.ignore,
    )
    return find_near_misses(
        text, matches, notation.patterns, max_tag=notation.max_tag, skipped=skipped
    )


def fields_of(near_misses: Sequence[NearMiss]) -> dict[str, list[int] | list[str]]:
    """Return the fields of the event `near_misses_found`."""
    return {
        "starts": [near_miss.start for near_miss in near_misses],
        "kinds": [" ".join(near_miss.kinds) for near_miss in near_misses],
    }


_NAMED = re.compile(r"im(?:g|age|\(\?:g\|age\)).{0,20}prompt", re.IGNORECASE)


def _search(
    text: str,
    matches: Sequence[PromptMatch],
    patterns: tuple[str, ...],
    max_tag: int,
    skipped: Sequence[tuple[int, int]],
) -> Iterator[NearMiss]:
    taken = sorted([*((match.start, match.end) for match in matches), *skipped])
    at = passed = counted = examined = 0
    line = 1
    while begun := _BEGUN.search(text, at):
        start, at = begun.span()
        while passed < len(taken) and taken[passed][1] <= start:
            passed += 1
        if passed < len(taken) and taken[passed][0] <= start:
            at = taken[passed][1]
            continue
        if not (begun["is"].strip() or begun["quote"] or text.startswith(">", at)):
            continue
        examined += 1
        if examined > MAX_EXAMINED:
            return
        found = _tolerated(text, start)
        kinds = tuple(_differences(text, begun, found, patterns, max_tag))
        if not kinds:
            continue
        end = at = max(at, found.end()) if found else at
        line += text.count("\n", counted, start)
        counted = start
        shown = text[start : end if found else start + MAX_SHOWN].partition("\n\n")[0]
        yield NearMiss(
            text=shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 1] + "…",
            start=start,
            line=line,
            column=start - text.rfind("\n", 0, start),
            kinds=kinds,
            tolerated=found is not None
            and end - start <= max_tag
            and "empty" not in kinds
            and patterns != TOLERANT_PATTERNS,
        )


def _tolerated(text: str, start: int) -> "regex.Match[str] | None":
    """Return what the tolerant patterns match at a place, the shortest match."""
    found = [
        match
        for pattern in compile_patterns(TOLERANT_PATTERNS)
        if (match := pattern.compiled.match(text, start, min(len(text), start + REACH)))
    ]
    return min(found, key=lambda match: match.end()) if found else None


def _differences(
    text: str,
    begun: "re.Match[str]",
    found: "regex.Match[str] | None",
    patterns: tuple[str, ...],
    max_tag: int,
) -> Iterator[NearMissKind]:
    """Yield in what a place differs from a tag; nothing if it looks not much like one."""
    mark, name, quote = begun["mark"], begun["name"], begun["quote"]
    said, comment = begun["is"].strip(), bool(begun["mark"])
    if found is None and (" " in name or not (said or quote)):
        return
    strict = found is not None and found.re.pattern in DEFAULT_PATTERNS
    element = found is not None and not said
    if begun["open"] != "<":
        yield "entities"
    if comment and mark != "!--":
        yield "dashes"
    if begun["space"] or (begun["is"] != said and not element):
        yield "space"
    if name.lower() not in _NAMES[comment]:
        yield "name"
    if name != name.lower():
        yield "case"
    if element:
        yield "element"
    elif said != "=":
        yield "separator"
    if quote != '"' and not element:
        yield "quotes"
    if found is None:
        yield "unclosed"
        return
    prompt = prompt_of(found)
    group = next((number for number, part in enumerate(found.groups(), 1) if part is not None), 0)
    if quote == '"' and not strict and _UNESCAPED.search(found[group] or ""):
        yield "inner-quotes"
    if not strict and not element:
        tail = text[found.end(group) : found.end()]
        tail = _CLOSED.sub("", tail) if quote else tail
        if "/" in tail:
            yield "slash"
        if _DECODED.sub(">", tail).replace("/", "").strip() != ("-->" if comment else ">"):
            yield "end"
    if not prompt:
        yield "empty"
    elif found.end() - found.start() > max_tag:
        yield "too-long"
    elif strict and found.re.pattern not in patterns:
        yield "pattern"
