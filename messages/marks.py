"""What Limner puts into a text: the marks of pictures, and of pictures that could not be made."""

import html
import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple
from urllib.parse import quote

import regex

from limner.messages.notation import Markup
from limner.messages.patterns import Pattern
from limner.messages.pictures import Failure, Placement, PromptMatch

MAX_MARK = 4_194_304
"""Characters of one mark; a picture's address may be a whole picture, as a data URI."""

MAX_ALT = 300
"""Characters of a picture's alternative text, or of a failure's reason, before escaping."""

_PICTURE = r'data-limner="(?:[0-9a-f]{20}:[0-9a-f]{32})"'
_FAILURE = r'data-limner-failed="(?:[0-9a-f]{20}:[0-9a-f]{20})"'
_WORDS = r"(?:[^\\\[\]<\n]++|\\.)*+"


def _group(name: str) -> str:
    return name.replace("(?:", "(")


def _inside(name: str) -> str:
    """Give the inside of an HTML tag up to its first attribute `name`, which comes as a group."""
    return rf"(?: (?!{name})[^<> ]*+)*+ {_group(name)}[^<>]*+"


_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_IN_MARKDOWN = re.compile(r"[\\\[\]`]")
_IN_LINK = re.compile(r"[\s\x00-\x1f\x7f-\x9f()<>\"'`\\]")


def _kind(source: str, opener: str, closer: str) -> Pattern:
    return Pattern(source, regex.compile(source, regex.VERSION0), opener, closer, plain=True)


MARKS: Final = (
    _kind(f"<img{_inside(_PICTURE)}>", "<img ", ">"),
    _kind(rf"!\[{_WORDS}\]\([^\s()]*+\)<!--{_group(_PICTURE)}-->", "![", '"-->'),
    _kind(f"<span{_inside(_FAILURE)}>[^<>]*+</span>", "<span ", "</span>"),
    _kind(rf"\[⚠{_WORDS}\]<!--{_group(_FAILURE)}-->", "[⚠", '"-->'),
)
"""A picture: an `<img>` tag that holds its placement's id, or a Markdown image directly followed
by a comment that does. A failure: a `<span>` that holds its id, or words in brackets before such a
comment. The id is the first group."""

_ANY = regex.compile("|".join(kind.source for kind in MARKS), regex.VERSION0)
_NAMED = re.compile(r"[0-9a-f]{20}:(?:[0-9a-f]{32}|[0-9a-f]{20})")


class Mark(NamedTuple):
    """One of Limner's marks in a text.

    Args:
        kind: what it is of.
        markup: how it is written.
        id: the picture's placement id, `prompt:picture`; of a failure, `prompt:task`.
        start: where it begins, in characters.
        end: where it ends.
    """

    kind: Literal["picture", "failure"]
    markup: Markup
    id: str
    start: int
    end: int

    @property
    def prompt_id(self) -> str:
        """Whose picture or failure it is."""
        return self.id.partition(":")[0]


_KINDS: Final[tuple[tuple[Literal["picture", "failure"], Markup], ...]] = (
    ("picture", "html"),
    ("picture", "markdown"),
    ("failure", "html"),
    ("failure", "markdown"),
)


def find_marks(text: str, matches: Sequence[PromptMatch] = ()) -> list[Mark]:
    """Find the marks of a text, in its order; no two overlap.

    Args:
        text: the text.
        matches: its prompt tags, in order; what stands in one of these is part of it and no mark.
    """
    marks: list[Mark] = []
    if "data-limner" not in text:
        return marks
    at = after = 0
    while found := _ANY.search(text, at):
        start, at = found.span()
        while after < len(matches) and matches[after].end <= start:
            after += 1
        if after < len(matches) and matches[after].start < at:
            at = matches[after].end
        elif at - start <= MAX_MARK:
            group = found.lastindex or 1
            marks.append(Mark(*_KINDS[group - 1], id=found[group], start=start, end=at))
    return marks


def marked(text: str) -> frozenset[str]:
    """Give the ids of the placements whose marks are in a text."""
    return frozenset(one.id for one in find_marks(text) if one.kind == "picture")


def mark(placement: Placement, markup: Markup) -> str:
    """Give a picture as it stands in a text, named by its placement, and escaped for there.

    The prompt is its alternative text, on one line and cut to 300 characters.

    Raises:
        ValueError: if the placement's id is not one that `limner.messages.ids` made.
    """
    name = f'data-limner="{_named(placement.id, "a placement")}"'
    alt = _line(placement.prompt)
    url = placement.picture.url
    if markup == "html":
        return f'<img {name} alt="{alt}" src="{html.escape(url)}">'
    alt = _IN_MARKDOWN.sub(r"\\\g<0>", alt)
    url = _IN_LINK.sub(lambda found: quote(found[0], safe=""), url)
    return f"![{alt}]({url})<!--{name}-->"


def failure_mark(failure: Failure, markup: Markup) -> str:
    """Give the small mark of a picture that could not be made: whose it was, and why.

    The reason is on one line and cut to 300 characters.

    Raises:
        ValueError: if the failure's ids are not ones that `limner.messages.ids` made.
    """
    name = f'data-limner-failed="{_named(failure_id(failure), "a failure")}"'
    why = _line(failure.reason)
    if markup == "html":
        return f'<span {name} title="{why}">⚠</span>'
    why = _IN_MARKDOWN.sub(r"\\\g<0>", why)
    return f"[⚠ {why}]<!--{name}-->"


def failure_id(failure: Failure) -> str:
    """Give the name of a failure, `prompt_id:task_id`, as it stands in its mark."""
    return f"{failure.prompt_id}:{failure.task_id}"


def _named(name: str, kind: str) -> str:
    if not _NAMED.fullmatch(name):
        raise ValueError(f"{name!r} is not the id of {kind}")
    return name


def _line(text: str) -> str:
    """Put a text on one line, cut and escaped for HTML."""
    line = _BLANK.sub(" ", text).strip()
    return html.escape(line if len(line) <= MAX_ALT else line[: MAX_ALT - 1] + "…")
