"""A text whose marks are put in and taken out, and nothing else of it is changed."""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from pydantic import Field

from limner.messages.base import Value
from limner.messages.pictures import Failure, Placement, Unplaced
from limner.messages.prompts import PromptMatch, TagOwner
from limner.messages.text.marks import MAX_MARK, Mark, failure_id, failure_mark, find_marks, mark
from limner.messages.text.patterns import DEFAULT_PATTERNS
from limner.messages.text.prompt_tags import Tags
from limner.messages.text.scanner import find_prompts

NO_PROMPT = "its prompt is no longer in the text"
TOO_LONG = f"its mark would be longer than {MAX_MARK:,} characters; give it a shorter address"
IN_A_TAG = "a pattern would take its mark for a part of a prompt"

ROUNDS = 8
"""How often marks that a pattern reads on over are left out, before all are."""


class Composed(Value):
    """A text with its pictures.

    Args:
        text: the text, each picture directly after its prompt's tag.
        placed: what stands in it, in its order; what stood there before is counted too.
        unplaced: what could not be put in, and why.
        removed: ids of the placements that were taken out, and of such as are not there, and are
            not to be put back.
        claims: all tags of the text that are held by another prompt than their text and ordinal
            name; `None` if that has not changed.
    """

    text: str = Field(repr=False)
    placed: tuple[Placement, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()
    removed: tuple[str, ...] = ()
    claims: tuple[TagOwner, ...] | None = None


class Rank(IntEnum):
    """The order of what is put to one place, where a tag or a mark ends."""

    FIRST = 0
    """Before the pictures there."""
    INSTEAD = 1
    """In the place of a mark that is taken out."""
    AFTER = 2
    """After the mark."""
    LAST = 3
    """After the pictures there."""
    FAILED = 4
    """Failures, after the mark that they are for."""
    FAILED_LAST = 5
    """Failures, after all that is there."""


class _New(NamedTuple):
    """Something that is put into a text."""

    rank: Rank
    order: int
    id: str
    written: str


class MarkEditor:
    """A text whose marks are put in and taken out; nothing else of it changes.

    The marks directly after a tag, and directly after each other, are its *run*; each may stand on
    a line of its own. In Markdown the end of a line between a tag, or a mark of its run, and a mark
    is a part of that mark: it goes with it, unless another mark comes to stand on that line. Such
    a line ends as the first one of the text does.

    A picture that is there already is not put in again, and stays where it is. What remains of one
    goes when it is put in.

    Args:
        tags: the text and its tags.
        cut: what comes to stand where something was taken out.
    """

    def __init__(self, tags: Tags, *, cut: str = "") -> None:
        self.tags = tags
        self.text = tags.text
        self.markup = tags.notation.markup
        self.cut = cut
        end = self.text.find("\n")
        self._newline = "\r\n" if end > 0 and self.text[end - 1] == "\r" else "\n"
        self.marks = find_marks(tags.text, tags.matches)
        self.there: dict[str, list[Mark]] = {}
        self.remains: dict[str, list[Mark]] = {}
        for one in self.marks:
            found = self.remains if one.kind == "remains" else self.there
            found.setdefault(one.id, []).append(one)
        self._gone: set[int] = set()  # by where they begin
        self._new: dict[int, list[_New]] = {}  # by where they are put
        self._refused: dict[str, str] = {}  # why, by their ids
        self._ids: set[str] = set()
        self._on_own_line: set[int] = set()  # by where they begin
        self.after: dict[str, int] = {}
        """Directly after which tag each mark stands first, of whichever prompt, by its id."""
        self.runs = self._runs()

    def _runs(self) -> tuple[tuple[Mark, ...], ...]:
        """Give the marks that stand beside each tag, and belong there."""
        starts = {one.start: one for one in self.marks}
        runs = []
        for at, match in enumerate(self.tags.matches):
            run = []
            end = match.end
            while one := starts.get(end) or starts.get(_next_line(self.text, end)):
                if one.start > end and one.markup == "markdown":
                    self._on_own_line.add(one.start)
                if one.kind != "remains":
                    self.after.setdefault(one.id, at)
                if self.tags.index(one.prompt_id) == at:
                    run.append(one)
                end = one.end
            runs.append(tuple(run))
        return tuple(runs)

    def put(self, at: int, rank: Rank, item: Placement | Failure) -> None:
        """Put a picture, or a failure, where a tag or a mark ends.

        Args:
            at: where that is in the text as it was.
            rank: orders what is put to one place; at one rank the order of the calls holds.
            item: what is put in, unless it is there.

        Raises:
            ValueError: if its id is not one that `limner.messages.ids` made.
        """
        if isinstance(item, Placement):
            name, written = item.id, mark(item, self.markup)
        else:
            name, written = failure_id(item), failure_mark(item, self.markup)
        if name in self.there or name in self._ids:
            return
        if len(written) > MAX_MARK:
            self.refuse(name, TOO_LONG)
            return
        self._ids.add(name)
        self._gone.update(one.start for one in self.remains.get(name, ()))
        self._new.setdefault(at, []).append(_New(rank, len(self._ids), name, written))

    def put_beside(self, at: int, item: Placement | Failure) -> None:
        """Put a picture after those beside a tag, or a failure after all that is there.

        Args:
            at: which of the tags, counted from 0.
            item: what is put in, unless it is there.
        """
        failed = isinstance(item, Failure)
        end = self.tags.matches[at].end
        for one in self.runs[at]:
            if failed or one.kind == "picture":
                end = one.end
        self.put(end, Rank.FAILED_LAST if failed else Rank.LAST, item)

    def refuses(self, item: Placement | None) -> bool:
        """Say whether a picture is one that is not put in."""
        return item is not None and item.id in self._refused

    def refuse(self, name: str, reason: str) -> None:
        """Say why a picture is not put in, by its id."""
        self._refused[name] = reason

    def take(self, one: Mark | PromptMatch) -> None:
        """Take a mark, or a tag, out."""
        self._gone.add(one.start)

    def composed(self, placements: Iterable[Placement]) -> Composed:
        """Give the new text, and what became of the placements that were to be put in."""
        text, places = self._written()
        placed, unplaced = [], []
        for one in placements:
            if one.id in places:
                placed.append(one)
            else:
                reason = self._refused.get(one.id, NO_PROMPT)
                unplaced.append(Unplaced(placement=one, reason=reason))
        removed = dict.fromkeys(
            one.id
            for one in self.marks
            if one.kind == "picture" and one.start in self._gone and one.id not in places
        )
        placed.sort(key=lambda one: places[one.id])
        return Composed.trusted(
            text=text,
            placed=tuple(placed),
            unplaced=tuple(unplaced),
            removed=tuple(removed),
            claims=None,
        )

    def _written(self) -> tuple[str, dict[str, int]]:
        """Give the text, and where each mark begins in it.

        A pattern of the user's may read on from an opener that was never closed into a new mark.
        What it would take is left out again.
        """
        for left in range(ROUNDS, -1, -1):
            text, places = self._render()
            notation = self.tags.notation
            if not self._new or set(notation.patterns) <= set(DEFAULT_PATTERNS):
                break  # the patterns that are built in end at a quote that no mark has
            found = find_prompts(
                text, notation.patterns, max_tag=notation.max_tag, timeout=notation.timeout
            )
            whole = {one.id for one in find_marks(text, found) if one.kind != "remains"}
            lost = {one.id for new in self._new.values() for one in new} - whole
            if not lost:
                break
            self._leave_out(lost if left else self._ids.copy())
        return text, places

    def _leave_out(self, lost: set[str]) -> None:
        for at, new in list(self._new.items()):
            if any(one.id in lost for one in new):
                self._new[at] = [one for one in new if one.id not in lost]
                self._gone -= {one.start for one in self.marks if one.end == at}
        self._new = {at: new for at, new in self._new.items() if new}
        self._refused |= dict.fromkeys(lost, IN_A_TAG)

    def _render(self) -> tuple[str, dict[str, int]]:
        text = self.text
        page = _Writing()
        places: dict[str, int] = {}
        done = 0
        held = False  # the end of a line whose mark is gone, for what may come in its place
        atoms: list[Mark | PromptMatch] = [*self.tags.matches, *self.marks]
        for one in sorted(atoms, key=lambda one: one.start):
            between = text[done : one.start]
            done = one.end
            gone = one.start in self._gone
            if between:
                held = gone and one.start in self._on_own_line
                if not held:
                    page.write(between)
            if gone:
                page.write(self.cut)
            else:
                if isinstance(one, Mark):
                    if held and one.markup == "markdown":
                        page.write(self._newline)
                    if one.kind != "remains":
                        places.setdefault(one.id, page.size)
                held = False
                page.write_whole(text[one.start : one.end])
            new = self._new.get(one.end)
            if new is None:
                continue
            if self.markup == "markdown" and (held or page.first == "<"):
                page.write(self._newline)
            held = False
            for item in sorted(new):
                places[item.id] = page.size
                page.write_whole(item.written)
        page.write(text[done:])
        return "".join(page.pieces), places


def _next_line(text: str, at: int) -> int:
    """Give where the next line begins if one ends there, else the place itself."""
    return at + (2 if text.startswith("\r\n", at) else text.startswith("\n", at))


class _Writing:
    """A text as it is written, and what its last line begins with."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.size = 0
        self.first = ""

    def write(self, text: str) -> None:
        """Write text, in which lines may end."""
        self.pieces.append(text)
        self.size += len(text)
        self.first = (self.first + text).rpartition("\n")[2].lstrip()[:1]

    def write_whole(self, text: str) -> None:
        """Write a tag or a mark: lines may end in it, but it stands on the one that it begins."""
        self.pieces.append(text)
        self.size += len(text)
        self.first = self.first or text.lstrip()[:1]
