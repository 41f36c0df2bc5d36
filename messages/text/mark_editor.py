"""Insert and remove pictures' marks in a text, and change nothing else of it."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from functools import cached_property, partial
from typing import NamedTuple

from pydantic import Field

from limner.messages.base import Value
from limner.messages.pictures import Failure, MarkedFailure, Placement, Unplaced
from limner.messages.prompts import PromptMatch, TagOwner
from limner.messages.text.markdown_blocks import MarkdownBlocks
from limner.messages.text.marks import (
    MAX_MARK,
    Mark,
    failure_mark,
    find_marks,
    mark,
    names_failure,
)
from limner.messages.text.notation import Markup
from limner.messages.text.patterns import DEFAULT_PATTERNS
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.text.scanner import find_prompts

NO_PROMPT = "its prompt is no longer in the text"
TOO_LONG = f"its mark would be longer than {MAX_MARK:,} characters; give it a shorter address"
IN_A_TAG = "a pattern would take its mark for a part of a prompt"

ROUNDS = 8
"""How often single marks that a pattern takes for a part of a prompt are left out; then all are."""


class Composed(Value):
    """A text with its pictures.

    Args:
        text: the text, each picture directly after its prompt's tag.
        placed: the pictures that are in the text, in its order; also those that were there before.
        unplaced: the pictures that could not be put in, and why.
        removed: ids of the placements that were taken out, and of those that had been stripped
            already and must not be put back.
        claims: the owners of all tags that belong to another prompt than their text and ordinal
            name; `None` if that has not changed.
        failures: the failures whose marks were put in.
        answered: ids of failures that are over: a picture came, or their marks were taken out.
        failed: ids of all failures whose marks are in the text, as far as that was looked at.
    """

    text: str = Field(repr=False)
    placed: tuple[Placement, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()
    removed: tuple[str, ...] = ()
    claims: tuple[TagOwner, ...] | None = None
    failures: tuple[MarkedFailure, ...] = ()
    answered: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class Rank(IntEnum):
    """The order of marks that are inserted at one position, where a tag or a mark ends."""

    FIRST = 0
    """Before the pictures beside the tag."""
    INSTEAD = 1
    """In place of a mark that is removed."""
    AFTER = 2
    """After a mark."""
    LAST = 3
    """After the pictures beside the tag."""
    FAILED = 4
    """The mark of a failure, after the mark that it is for."""
    FAILED_LAST = 5
    """The mark of a failure, after all marks beside the tag."""


class _New(NamedTuple):
    """A mark that is inserted into a text."""

    rank: Rank
    order: int
    id: str
    written: Mapping[Markup, str]


class MarkEditor:
    """Collects marks to insert into a text and to remove from it; `composed` returns the new text.

    Nothing else of the text changes. A picture that is in the text already is not inserted again,
    and stays where it is. When a picture is inserted, a leftover of its mark is removed.

    Marks that follow a tag directly, or each other, stand *beside* the tag; each may be on a line
    of its own. In Markdown, the line end before such a mark is a part of the mark. It is removed
    with the mark, unless another mark takes its place on that line. Line ends that are inserted
    are like the first one of the text.

    Mutable: it is used once, within one function.

    Args:
        tags: the text and its tags.
        cut: what is written in place of everything that is removed.
    """

    def __init__(self, tags: PromptTags, *, cut: str = "") -> None:
        self.tags = tags
        self.text = tags.text
        self._attributes = tags.notation.image_attributes
        self.markup: Markup = "html" if self._attributes else tags.notation.markup
        self.cut = cut
        end = self.text.find("\n")
        self._newline = "\r\n" if end > 0 and self.text[end - 1] == "\r" else "\n"
        self.marks = tags.marks
        self.present: dict[str, list[Mark]] = {}
        """The whole marks of the text, by their ids."""
        self.leftovers: dict[str, list[Mark]] = {}
        """The leftovers of stripped marks, by their ids."""
        for found in self.marks:
            marks = self.leftovers if found.kind == "leftover" else self.present
            marks.setdefault(found.id, []).append(found)
        self._removed: set[int] = set()  # where the marks and tags to remove begin
        self._answered: dict[int, set[str]] = {}  # where a failure's mark begins: its pictures
        self._answers: list[tuple[int | None, str, Collection[str]]] = []
        self._gone: set[int] = set()  # where what was removed in the end begins
        self._after: dict[str, str | None] = {}  # the picture after which each failure was put
        self._new: dict[int, list[_New]] = {}  # by the position where they are inserted
        self._refused: dict[str, str] = {}  # why, by their ids
        self._ids: set[str] = set()
        self._on_own_line: set[int] = set()  # where the marks on lines of their own begin
        self.tag_before = tags.tag_before
        """By each mark's id, the index of the tag that it first stands beside, whoever owns it."""
        self.beside = self._marks_beside()
        """For each tag, the marks beside it of its owner's pictures and failures, or foreign."""

    def tag_of(self, name: str) -> int | None:
        """Return the index of the tag that a mark belongs to, if there is one.

        It is the tag of the mark's prompt; if the text has none, the tag that the mark stands
        beside, since somebody may have changed what that tag says, or the mark is foreign.

        Args:
            name: the mark's id.
        """
        at = self.tags.index(name.partition(":")[0])
        return self.tag_before.get(name) if at is None else at

    def _marks_beside(self) -> tuple[tuple[Mark, ...], ...]:
        beside = []
        for at, (match, marks) in enumerate(
            zip(self.tags.matches, self.tags.marks_after, strict=True)
        ):
            end = match.end
            for found in marks:
                if found.start > end and found.markup == "markdown":
                    self._on_own_line.add(found.start)
                end = found.end
            beside.append(
                tuple(
                    found
                    for found in marks
                    if found.foreign or self.tags.index(found.prompt_id) == at
                )
            )
        return tuple(beside)

    @cached_property
    def failures(self) -> Mapping[int | str | None, Sequence[Mark]]:
        """The marks of failures, leftovers too: by the index of their tag, and by their prompt."""
        found: dict[int | str | None, list[Mark]] = {}
        for each in self.marks:
            if names_failure(each.id):
                found.setdefault(each.prompt_id, []).append(each)
                if (at := self.tag_of(each.id)) is not None:
                    found.setdefault(at, []).append(each)
        return found

    def answer(self, at: int | None, name: str, *, but: Collection[str] = ()) -> None:
        """Remove the marks of a tag's and a prompt's failures, if a picture is in the new text.

        Args:
            at: the index of the tag, if there is one.
            name: the id of the picture's placement.
            but: the ids of failures whose marks stay.
        """
        self._answers.append((at, name, but))
        prompt = name.partition(":")[0]
        for found in (*self.failures.get(at, ()), *self.failures.get(prompt, ())):
            if found.id not in but:
                self._answered.setdefault(found.start, set()).add(name)

    def put(self, at: int, rank: Rank, item: Placement | Failure) -> None:
        """Insert the mark of a picture or a failure, unless it is in the text already.

        Args:
            at: where a tag or a mark ends, in characters of the text as it was.
            rank: the order at one position; marks of one rank keep the order of the calls.
            item: the picture or failure.

        Raises:
            ValueError: if its id is not one that `limner.messages.ids` made.
        """
        if isinstance(item, Placement):
            name, writes = item.id, partial(mark, item, attributes=self._attributes)
        else:
            name, writes = item.id, partial(failure_mark, item)
        # a Markdown text may need a mark as HTML; which of them is known when it is rendered
        forms: tuple[Markup, ...] = ("html",) if self.markup == "html" else ("html", "markdown")
        written = {markup: writes(markup) for markup in forms}
        if name in self.present or name in self._ids:
            return
        if max(map(len, written.values())) > MAX_MARK:
            self.refuse(name, TOO_LONG)
            return
        self._ids.add(name)
        self._removed.update(leftover.start for leftover in self.leftovers.get(name, ()))
        self._new.setdefault(at, []).append(_New(rank, len(self._ids), name, written))

    def put_beside(self, at: int, item: Placement | Failure) -> None:
        """Insert a picture after the pictures beside a tag, or a failure after all marks there.

        Args:
            at: the index of the tag.
            item: the picture or failure.

        Raises:
            ValueError: if its id is not one that `limner.messages.ids` made.
        """
        failed = isinstance(item, Failure)
        end = self.tags.matches[at].end
        for found in self.beside[at]:
            if failed or found.kind == "picture":
                end = found.end
        self.put(end, Rank.FAILED_LAST if failed else Rank.LAST, item)

    def is_refused(self, item: Placement | None) -> bool:
        """Return whether a picture is refused, and so is not inserted."""
        return item is not None and item.id in self._refused

    def refuse(self, name: str, reason: str) -> None:
        """Refuse to insert a picture.

        Args:
            name: its placement's id.
            reason: why, for people.
        """
        self._refused[name] = reason

    def remove(self, found: Mark | PromptMatch) -> None:
        """Remove a mark or a tag."""
        self._removed.add(found.start)

    def composed(
        self, placements: Iterable[Placement], failures: Iterable[MarkedFailure] = ()
    ) -> Composed:
        """Return the new text, and which of the placements are in it.

        Args:
            placements: the pictures that were to be inserted.
            failures: the failures that were to leave a mark.
        """
        text, positions = self._text_and_positions()
        placed, unplaced = [], []
        for placement in placements:
            if placement.id in positions:
                placed.append(placement)
            else:
                reason = self._refused.get(placement.id, NO_PROMPT)
                unplaced.append(Unplaced(placement=placement, reason=reason))
        removed = dict.fromkeys(
            found.id
            for found in self.marks
            if found.kind == "picture"
            and found.start in self._removed
            and found.id not in positions
        )
        placed.sort(key=lambda placement: positions[placement.id])
        return Composed.trusted(
            text=text,
            placed=tuple(placed),
            unplaced=tuple(unplaced),
            removed=tuple(removed),
            claims=None,
            failures=tuple(
                failed.but(after=self._after[failed.id])
                for failed in failures
                if failed.id in self._after
            ),
            answered=tuple(self._over(positions)),
            failed=tuple(name for name in positions if names_failure(name)),
        )

    def _over(self, positions: Collection[str]) -> Iterator[str]:
        """Yield the ids of the failures that are over; some may have had no mark in the text.

        Args:
            positions: the ids of the marks that are in the new text.
        """
        over = {found.id for found in self.marks if found.start in self._gone}
        over = {name for name in over if names_failure(name) and name not in positions}
        yield from sorted(over)
        known: dict[int | str | None, list[str]] = {}
        for failed in self.tags.registry.failures:
            if failed.id not in positions and failed.id not in over:
                known.setdefault(failed.failure.prompt_id, []).append(failed.id)
                if (at := self.tags.index(failed.failure.prompt_id)) is not None:
                    known.setdefault(at, []).append(failed.id)
        for at, name, but in self._answers if known else ():
            if name in positions:
                names = {*known.pop(at, ()), *known.pop(name.partition(":")[0], ())}
                yield from sorted(names.difference(but, over))
                over |= names

    def _text_and_positions(self) -> tuple[str, dict[str, int]]:
        """Return the text, and where each mark begins in it.

        A pattern of the user's may match from an opener that was never closed into a new mark.
        Such a mark is left out again.
        """
        for left in range(ROUNDS, -1, -1):
            text, positions = self._render()
            notation = self.tags.notation
            if not self._new or set(notation.patterns) <= set(DEFAULT_PATTERNS):
                break  # the patterns that are built in end at a quote that no mark has
            prompts = find_prompts(
                text,
                notation.patterns,
                max_tag=notation.max_tag,
                timeout=notation.timeout,
                budget=notation.new_budget(),
                ignore=notation.ignore,
            )
            whole = {found.id for found in find_marks(text, prompts) if found.kind != "leftover"}
            lost = {item.id for new in self._new.values() for item in new} - whole
            if not lost:
                break
            self._leave_out(lost if left else self._ids.copy())
        return text, positions

    def _leave_out(self, lost: set[str]) -> None:
        for at, new in list(self._new.items()):
            if any(item.id in lost for item in new):
                self._new[at] = [item for item in new if item.id not in lost]
                self._removed -= {found.start for found in self.marks if found.end == at}
        self._new = {at: new for at, new in self._new.items() if new}
        self._refused |= dict.fromkeys(lost, IN_A_TAG)

    def _where_removed(self) -> set[int]:
        """Return where what is removed begins: also failures' marks whose pictures come."""
        pictures = {item.id for new in self._new.values() for item in new} | self.present.keys()
        return self._removed.union(
            start for start, names in self._answered.items() if not names.isdisjoint(pictures)
        )

    def _render(self) -> tuple[str, dict[str, int]]:
        text = self.text
        gone = self._where_removed()
        out = _Output(MarkdownBlocks() if self.markup == "markdown" and self._new else None)
        self._gone, self._after = gone, {}
        picture: str | None = None  # the last one beside the tag
        positions: dict[str, int] = {}
        done = 0
        line_end_due = False  # the line end of a removed mark, for a mark that takes its place
        after_mark = False
        atoms: list[Mark | PromptMatch] = [*self.tags.matches, *self.marks]
        for atom in sorted(atoms, key=lambda atom: atom.start):
            between = text[done : atom.start]
            done = atom.end
            if between.strip() or not isinstance(atom, Mark):
                picture = None
            removed = atom.start in gone
            if between:
                line_end_due = removed and atom.start in self._on_own_line
                if not line_end_due:
                    out.write(between)
                    after_mark = False
            if removed:
                out.write(self.cut)
            else:
                if isinstance(atom, Mark):
                    if line_end_due and atom.markup == "markdown":
                        out.write(self._newline)
                    if atom.kind != "leftover":
                        positions.setdefault(atom.id, out.size)
                    if atom.kind == "picture":
                        picture = atom.id
                line_end_due = False
                written = text[atom.start : atom.end]
                after_mark = isinstance(atom, Mark)
                if isinstance(atom, Mark) and atom.foreign:
                    out.write(written)
                else:
                    out.write_whole(written)
            new = self._new.get(atom.end)
            if new is None:
                continue
            if self.markup == "markdown" and (
                line_end_due or (not after_mark and out.takes_new_line(text, atom.end))
            ):
                out.write(self._newline)
            line_end_due, after_mark = False, True
            for item in sorted(new, key=lambda item: (item.rank, item.order)):
                positions[item.id] = out.size
                if names_failure(item.id):
                    self._after[item.id] = picture
                else:
                    picture = item.id
                out.write_whole(item.written["html" if out.in_html() else "markdown"])
        out.write(text[done:])
        return "".join(out.pieces), positions


NEAR = 1_000
"""Characters after a mark that are looked at for what they would be after another line."""


class _Output:
    """A text as it is written, and the first character of its last line.

    Args:
        blocks: follows the text if it is Markdown; `None` if marks are written as HTML anyway.
    """

    def __init__(self, blocks: MarkdownBlocks | None) -> None:
        self._blocks = blocks
        self.pieces: list[str] = []
        self.size = 0
        self.first = ""

    def write(self, text: str) -> None:
        """Write text, in which lines may end."""
        self._add(text)
        self.first = (self.first + text).rpartition("\n")[2].lstrip()[:1]

    def write_whole(self, text: str) -> None:
        """Write a tag or a mark; line ends within it do not begin a new line."""
        self._add(text)
        self.first = self.first or text.lstrip()[:1]

    def in_html(self) -> bool:
        """Return whether a mark is HTML here; some renderers see HTML where others see code."""
        return self._blocks is None or self._blocks.place() != "text"

    def takes_new_line(self, text: str, at: int) -> bool:
        """Return whether a mark goes on a line of its own, since this line may be raw HTML.

        Args:
            text: what is written from.
            at: where in it the mark goes.
        """
        if self.first != "<" or self._blocks is None:
            return False
        rest, _, following = text[at : at + NEAR].partition("\n")
        return self._blocks.takes_new_line(rest, following.partition("\n")[0])

    def _add(self, text: str) -> None:
        self.pieces.append(text)
        self.size += len(text)
        if self._blocks is not None:
            self._blocks.feed(text)
