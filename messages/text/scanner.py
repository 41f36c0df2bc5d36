r"""Find prompt tags in a text, whole or while it is being streamed.

One definition holds for both, so that every chunking of a text gives what the whole gives:

- A *tag* is a substring of at most `max_tag` characters that a pattern matches in full, read as a
  string of its own.
- The leftmost start comes first; at one start the earliest end, over all patterns, so that a tag is
  known from the very character that closes it; at one start and end the first pattern.
- A start is *open* while more text could still make it a tag. An open start holds back what
  comes after it. When it is ruled out, too long, or the text has ended, the search goes on one
  character after it; after a tag, at its end.
- With `ignore`, nothing inside code, or inside what a model thinks aloud, is a prompt: see
  `limner.messages.text.regions`.
- Nothing inside one of Limner's own marks is a prompt. A mark comes before any pattern that would
  match at the same start.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import regex

from limner.messages.prompts import PromptMatch
from limner.messages.text.entities import decoded_once
from limner.messages.text.marks import MARKS, MAX_MARK
from limner.messages.text.pattern_budget import HELD, PatternBudget
from limner.messages.text.patterns import DEFAULT_PATTERNS, Pattern, compile_patterns
from limner.messages.text.regions import OPEN, Ignored, Region, Starts, begin, leave, run_at
from limner.messages.text.tolerant import TOLERANT_PATTERNS


def find_prompts(
    text: str,
    patterns: Sequence[str] | Sequence[Pattern] = DEFAULT_PATTERNS,
    *,
    max_tag: int = 2_000,
    timeout: float | None = None,
    budget: PatternBudget | None = None,
    ignore: Collection[Ignored] = (),
) -> list[PromptMatch]:
    """Find the prompts of a text, in its order.

    Args:
        text: the text; it must be one that UTF-8 can carry (see `wellformed`).
        patterns: regular expressions of prompt tags, or what `compile_patterns` returned for them.
        max_tag: characters of one tag at most.
        timeout: seconds that one match of a pattern may take; a pattern that takes longer finds
            nothing more in this text. By default there is no bound.
        budget: the time that all matches of the text may take together; the pattern that takes the
            most of it finds nothing more. By default there is no bound.
        ignore: what is not searched: `code` for fenced and inline code, `think` for `<think>`.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
    """
    scanner = PromptScanner(
        patterns, max_tag=max_tag, timeout=timeout, budget=budget, ignore=ignore
    )
    return scanner.feed(text) + scanner.close()


def find_ignored(
    text: str,
    patterns: Sequence[str] | Sequence[Pattern] = DEFAULT_PATTERNS,
    *,
    max_tag: int = 2_000,
    timeout: float | None = None,
    budget: PatternBudget | None = None,
    ignore: Collection[Ignored] = (),
) -> list[tuple[int, int]]:
    """Return where each region of a text that is not searched begins and ends, in its order.

    The arguments are those of `find_prompts`.
    """
    if not ignore:
        return []
    scanner = PromptScanner(
        patterns, max_tag=max_tag, timeout=timeout, budget=budget, ignore=ignore
    )
    scanner.feed(text)
    scanner.close()
    return scanner.ignored


class _Rule(NamedTuple):
    """A pattern, and how it is used here."""

    pattern: Pattern
    limit: int  # characters of one match
    mark: bool
    watched: bool  # whether it is somebody's own, which may take long


class _Plan(NamedTuple):
    """What scanners with the same patterns share."""

    find: "re.Pattern[str]"  # an opener, or the beginning of one at the end of the text
    rules: dict[str, tuple[_Rule, ...]]  # by what `find` matched, marks first
    closers: tuple[str, ...]  # each closer of a pattern ends with one of these
    reach: int  # characters before a piece that a closer in it may begin with
    max_tag: int


@lru_cache(maxsize=256)
def _plan(patterns: tuple[Pattern, ...], max_tag: int) -> _Plan:
    rules = [_Rule(mark, MAX_MARK, mark=True, watched=False) for mark in MARKS]
    rules += [
        _Rule(pattern, max_tag, mark=False, watched=pattern.source not in TOLERANT_PATTERNS)
        for pattern in patterns
    ]
    openers = {rule.pattern.opener for rule in rules}
    ends = {rule.pattern.closer for rule in rules}
    ends = {end for end in ends if not any(end.endswith(other) for other in ends - {end})}
    return _Plan(
        find=re.compile(_begun(opener[:_ENOUGH] for opener in openers)),
        rules={
            begun: tuple(rule for rule in rules if rule.pattern.opener.startswith(begun))
            for opener in openers
            for begun in (opener[:size] for size in range(1, _ENOUGH + 1))
        },
        closers=tuple(ends),
        reach=max(1, max(map(len, ends)) - 1),
        max_tag=max_tag,
    )


def _begun(literals: Iterable[str]) -> str:
    """Return a regular expression of the literals, and of their beginnings at the text's end."""
    rests: dict[str, set[str]] = {}
    for literal in literals:
        rests.setdefault(literal[0], set()).add(literal[1:])
    return "|".join(
        re.escape(first) + ("" if "" in rest else f"(?:{_begun(rest)}|\\Z)")
        for first, rest in sorted(rests.items())
    )


_ENOUGH: Final = 32  # characters of an opener to look for; looking for more would find the same
_OPEN: Final = -1
_RULED_OUT: Final = 0


class PromptScanner:
    """Finds the prompts of a text that is streamed, each from the piece that closes its tag.

    The arguments are those of `find_prompts`. Mutable: call `feed` for each piece, then `close`
    once; after that it cannot be used again.
    """

    __slots__ = (
        "_base",
        "_before",
        "_budget",
        "_check",
        "_closed",
        "_counts",
        "_find",
        "_ignore",
        "_live",
        "_next",
        "_parts",
        "_passed",
        "_plan",
        "_recent",
        "_region",
        "_rules",
        "_size",
        "_slow",
        "_timeout",
        "_tried",
        "dropped",
    )

    dropped: tuple[str, ...]
    """The patterns that were dropped, since they took longer than `timeout` or `budget` allow."""

    def __init__(
        self,
        patterns: Sequence[str] | Sequence[Pattern] = DEFAULT_PATTERNS,
        *,
        max_tag: int = 2_000,
        timeout: float | None = None,
        budget: PatternBudget | None = None,
        ignore: Collection[Ignored] = (),
    ) -> None:
        self._plan = _plan(_compiled(patterns), max_tag)
        self._find = self._plan.find.search
        self._rules = self._plan.rules
        self._timeout = timeout
        self._budget = budget
        self._slow: set[str] = set()  # patterns that match without holding the interpreter
        self._counts: dict[str, int] = {}
        self.dropped = ()
        self._ignore = tuple(ignore)
        self._passed: list[tuple[int, int]] = []
        self._region: Region | None = None  # the one in which the held text lies
        self._before = ""  # the character before the held text
        # The held text begins with the first start that may be open. All positions count from
        # there; `_base` is where that is in the whole text.
        self._base = 0
        self._parts: list[str] = []
        self._size = 0
        self._recent = ""  # its last characters, with which a closer may begin
        self._closed = 0  # the end of the last closer in it; 0 if no tag can end there any more
        self._check = 0  # at this size the held text is scanned though no closer came
        self._live: tuple[_Rule, ...] = ()  # the rules that may still match at the first start
        self._tried = 0  # closers that end before it were tried at the first start
        self._next: dict[
            str, tuple[int, int]
        ] = {}  # by closer: from which position on, and where the next one is

    def feed(self, delta: str) -> list[PromptMatch]:
        """Add text, and return the prompts that have become certain.

        Args:
            delta: the next piece of the text, which UTF-8 can carry.
        """
        if not self._size and self._ignore:
            self._check = 0
        elif not self._size:
            begun = self._find(delta)
            if begun is None:
                self._base += len(delta)
                return []
            self._base += begun.start()
            delta = delta[begun.start() :]
        self._parts.append(delta)
        self._size += len(delta)
        recent = self._recent + delta
        for closer in self._plan.closers:
            at = recent.rfind(closer)
            if at >= 0:
                end = self._size - len(recent) + at + len(closer)
                self._closed = max(self._closed, end)
        self._recent = recent[-self._plan.reach :]
        if self._closed or self._size >= self._check:
            return self._scan(ended=False)
        return []

    def close(self) -> list[PromptMatch]:
        """End the text, and return the prompts that were held back."""
        return self._scan(ended=True)

    @property
    def ignored(self) -> list[tuple[int, int]]:
        """Where each region that was not searched begins and ends, in the whole text so far."""
        region = self._region
        return self._passed + ([] if region is None else [(region.start, self._base + self._size)])

    def _scan(self, *, ended: bool) -> list[PromptMatch]:
        """Scan the held text, return its prompts, and keep what is open."""
        text = "".join(self._parts)
        self._next.clear()
        prompts: list[PromptMatch] = []
        at = 0
        starts = None
        if self._ignore:
            starts = Starts(text, self._before, self._ignore)
            at = self._leave(text, 0, ended=ended)
        while at >= 0:
            begun = self._find(text, at)
            if starts is not None:
                until = len(text) if begun is None else begun.start()
                after = self._pass_region(starts, text, at, until, ended=ended)
                if after != at:
                    at = after
                    continue
            if begun is None:
                self._live = ()
                self._hold(text, len(text))
                break
            start = begun.start()
            if (
                start or not self._live
            ):  # else it was held back, and some rules are ruled out already
                self._live = self._rules[begun[0]]
                self._tried = 0
            end, prompt = self._tag_at(text, start, ended=ended)
            if end == _OPEN:
                self._hold(text, start)
                return prompts
            if prompt:
                ordinal = self._counts.get(prompt, 0)
                self._counts[prompt] = ordinal + 1
                prompts.append(
                    PromptMatch.trusted(
                        text=prompt,
                        tag=text[start:end],
                        start=self._base + start,
                        end=self._base + end,
                        ordinal=ordinal,
                    )
                )
            at = end or start + 1
        return prompts

    def _pass_region(self, starts: Starts, text: str, at: int, until: int, *, ended: bool) -> int:
        """Return the end of the first region that begins from `at` to `until`; `at` if none does.

        `_OPEN` if one may, or if it has no end yet; then the text is held.
        """
        while found := starts.next(at, until):
            kind, start = found
            end, region = begin(kind, text, start, max_tag=self._plan.max_tag, ended=ended)
            if end == OPEN:
                self._hold_region(text, start)
                return _OPEN
            if region is not None:
                self._region = region._replace(start=self._base + start)
                return self._leave(text, end, ended=ended)
            if end:
                self._passed.append((self._base + start, self._base + end))
                return end
            starts.passed(kind, run_at(text, start) if kind == "inline" else start + 1)
        return at

    def _leave(self, text: str, at: int, *, ended: bool) -> int:
        """Return the end of the region around `at`: `at` if there is none, `_OPEN` if open."""
        if self._region is None:
            return at
        end, held, self._region = leave(self._region, text, at, ended=ended)
        if end == OPEN:
            self._hold_region(text, held)
            return _OPEN
        self._passed.append((self._region.start, self._base + end))
        self._region = None
        return end

    def _hold_region(self, text: str, start: int) -> None:
        """Keep the text from `start` on, where a region begins or ends, and scan it again soon."""
        self._live = ()
        self._hold(text, start)
        self._check = 0

    def _hold(self, text: str, start: int) -> None:
        """Keep the text from `start` on, which is open, and decide when to scan it again."""
        if start:
            self._before = text[start - 1]
        held = text[start:]
        size = len(held)
        self._base += start
        self._parts = [held] if held else []
        self._size = size
        self._recent = held[-self._plan.reach :]
        self._check = 2 * size
        self._closed = max(0, self._closed - start)
        if self._closed and self._live and not (self._live[0].mark and not self._live[-1].mark):
            later = self._find(held, 1)
            if later is None or later.start() >= self._closed:
                self._closed = 0

    def _tag_at(self, text: str, start: int, *, ended: bool) -> tuple[int, str]:
        """Return the end of the tag at `start` and its prompt, or `_OPEN`, or `_RULED_OUT`."""
        held = len(text) - start
        live: list[_Rule] = []
        best, found = _RULED_OUT, None
        for rule in self._live:
            if rule.watched and rule.pattern.source in self.dropped:
                continue
            whole = held < rule.limit
            stop = len(text) if whole else start + rule.limit
            try:
                end, match = self._match(rule, text, start, stop, more=whole and not ended)
            except TimeoutError:
                self._drop(rule.pattern.source)
                continue
            if rule.mark and end:
                return end, ""
            if match is not None and (found is None or end < best):
                best, found = end, match
            elif end == _OPEN:
                live.append(rule)
        if found is not None:
            return best, prompt_of(found)
        self._live = tuple(live)
        self._tried = held
        return (_OPEN if live else _RULED_OUT), ""

    def _match(
        self, rule: _Rule, text: str, start: int, stop: int, *, more: bool
    ) -> "tuple[int, regex.Match[str] | None]":
        """Return the earliest end of a rule's match, and the match, or `_OPEN`, or `_RULED_OUT`."""
        pattern = rule.pattern
        opener, closer, compiled = pattern.opener, pattern.closer, pattern.compiled
        if not text.startswith(opener, start, stop):
            begun = more and opener.startswith(text[start:stop])
            return (_OPEN if begun else _RULED_OUT), None
        if pattern.plain:
            end = self._next_end(text, closer, start + len(opener))
            if end > stop and not more:
                return _RULED_OUT, None
            match = self._run(rule, compiled.match, text, start, stop, partial=more)
            if match is None:
                return _RULED_OUT, None
            if match.partial:
                return _OPEN, None
            while end < match.end():
                earlier = self._run(rule, compiled.fullmatch, text, start, end)
                if earlier:
                    return end, earlier
                end = text.index(closer, end - len(closer) + 1) + len(closer)
            return match.end(), match
        # What such a pattern matches may depend on where the text ends, so each end is tried.
        end = self._next_end(text, closer, start + max(len(opener), self._tried - len(closer) + 1))
        while end <= stop:
            match = self._run(rule, compiled.fullmatch, text[start:end], 0, end - start)
            if match:
                return end, match
            end = self._next_end(text, closer, end - len(closer) + 1)
        held = text[start:stop]
        if more and self._run(rule, compiled.fullmatch, held, 0, len(held), partial=True):
            return _OPEN, None
        return _RULED_OUT, None

    def _run(
        self,
        rule: _Rule,
        match: "Callable[..., regex.Match[str] | None]",
        text: str,
        start: int,
        stop: int,
        *,
        partial: bool = False,
    ) -> "regex.Match[str] | None":
        """Return what a pattern matches in `text[start:stop]`.

        A match of somebody's own pattern may take long. It first has as long as Python itself
        holds the interpreter. If that is too short, it is begun anew without holding it, so that
        other threads run meanwhile, and so is each later match of that pattern.

        Raises:
            TimeoutError: if it takes too long, or all matches of the pattern did.
        """
        timeout = None if rule.mark else self._timeout
        if not rule.watched:
            return match(text, start, stop, partial=partial, timeout=timeout, concurrent=False)
        source, budget = rule.pattern.source, self._budget
        if budget is None:
            return self._run_watched(source, match, text, start, stop, partial, timeout)
        left = max(budget.left, HELD)
        begun = budget.clock()
        try:
            return self._run_watched(
                source, match, text, start, stop, partial, min(left, timeout or left)
            )
        finally:
            costly = budget.charge(source, budget.clock() - begun)
            if costly is not None:
                self._drop(costly)

    def _run_watched(
        self,
        source: str,
        match: "Callable[..., regex.Match[str] | None]",
        text: str,
        start: int,
        stop: int,
        partial: bool,
        timeout: float | None,
    ) -> "regex.Match[str] | None":
        """Return what one match of somebody's own pattern gives, as `_run` has it."""
        if source in self.dropped:
            raise TimeoutError
        if source not in self._slow:
            held = min(HELD, timeout or HELD)
            try:
                return match(text, start, stop, partial=partial, timeout=held, concurrent=False)
            except TimeoutError:
                if held == timeout:
                    raise
                self._slow.add(source)
        return match(text, start, stop, partial=partial, timeout=timeout, concurrent=True)

    def _next_end(self, text: str, closer: str, at: int) -> int:
        """Return where the first `closer` from `at` on ends; past the text if there is none."""
        asked, found = self._next.get(closer, (0, -1))
        if not asked <= at <= found:
            found = text.find(closer, at)
            if found < 0:
                found = len(text)
            self._next[closer] = at, found
        return found + len(closer)

    def _drop(self, source: str) -> None:
        if source in self.dropped:
            return
        self.dropped += (source,)
        if self._budget is not None:
            self._budget.forget(source)
        self._rules = {
            begun: tuple(rule for rule in rules if rule.mark or rule.pattern.source != source)
            for begun, rules in self._rules.items()
        }


def _compiled(patterns: Sequence[str] | Sequence[Pattern]) -> tuple[Pattern, ...]:
    return tuple(
        pattern if isinstance(pattern, Pattern) else compile_patterns((pattern,))[0]
        for pattern in patterns
    )


_ESCAPED = re.compile(r'\\(["\\])')


def prompt_of(match: "regex.Match[str]") -> str:
    """Return the first group that took part in a match, unescaped, decoded once and trimmed."""
    text = ""
    for group in match.groups():
        if group is not None:
            text = group
            break
    if "\\" in text:
        text = _ESCAPED.sub(r"\1", text)
    return decoded_once(text).strip()
