"""The blocks of a Markdown text, as far as they decide how a picture must be written in it.

The rules are those of CommonMark 0.31, sections 4 and 5: quotes, list items, code, raw HTML, and
paragraphs with their lazy continuation lines. A row of a table counts as a line of a paragraph that
has no lazy continuation lines (GitHub Flavored Markdown 0.29, section 4.10).
"""

import re
from typing import Final, Literal, NamedTuple

Place = Literal["text", "html", "code"]
"""What stands at a place: Markdown, in which an image is shown; raw HTML; code."""

_BLOCK_NAMES = (
    "address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details"
    "|dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head"
    "|header|hr|html|iframe|legend|li|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p"
    "|param|search|section|source|summary|table|tbody|td|tfoot|th|thead|title|tr|track|ul"
)
_VALUE = r"""(?:[^\s"'=<>`]+|'[^']*'|"[^"]*")"""
_ATTRIBUTES = rf"(?:\s+[A-Za-z_:][\w:.-]*(?:\s*=\s*{_VALUE})?)*"
_HTML: Final = tuple(
    (re.compile(begin, re.IGNORECASE), end and re.compile(end, re.IGNORECASE))
    for begin, end in (
        (r"<(?:script|pre|style|textarea)(?:[\s>]|$)", "</(?:script|pre|style|textarea)>"),
        ("<!--", "-->"),
        (r"<\?", r"\?>"),
        ("<![a-z]", ">"),
        (r"<!\[CDATA\[", r"\]\]>"),
        (rf"</?(?:{_BLOCK_NAMES})(?:\s|/?>|$)", ""),
        (rf"<(?:[a-z][a-z0-9-]*{_ATTRIBUTES}\s*/?|/[a-z][a-z0-9-]*\s*)>\s*$", ""),
    )
)
"""How each kind of HTML block begins and ends; with no end, it ends at a blank line."""

_ALONE: Final = 6  # the kind that is a tag alone on its line; it does not interrupt a paragraph
_HEADING = re.compile(r"#{1,6}(?:\s|$)")
_FENCE = re.compile(r"(`{3,})[^`]*$|(~{3,})")
_BREAK = re.compile(r"(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$")
_UNDERLINE = re.compile(r"(?:=+|-+)\s*$")
_DELIMITER = re.compile(r":?-+:?")
_CELL_END = re.compile(r"(?<!\\)\|")
_TABLE: Final = "table"
_ITEM = re.compile(r"([-+*]|(\d{1,9})[.)])( +|$)")
_QUOTE: Final = 0  # in the containers; any other number is the indentation of a list item


class _Leaf(NamedTuple):
    """The block within the innermost container that the next line may continue.

    Args:
        kind: `""` is none.
        detail: the fence of a code block; the kind of HTML block; of a paragraph, how many columns
            its last line would have in a table, or that it is one.
    """

    kind: Literal["", "paragraph", "fence", "indented", "html"] = ""
    detail: str | int = ""


_NONE: Final = _Leaf()


class _State(NamedTuple):
    """What is open after a line: the containers from the outermost, and the leaf in them."""

    containers: tuple[int, ...] = ()
    leaf: _Leaf = _NONE


class MarkdownBlocks:
    """Follows the blocks of a Markdown text that is fed to it piece by piece.

    Mutable: it is used once, within one function.
    """

    def __init__(self) -> None:
        self._state = _State()
        self._line: list[str] = []
        self._place: Place | None = None  # of the line that is not complete yet
        self._no_new_line = False  # a new line here is known to be no good

    def feed(self, text: str) -> None:
        """Add text."""
        *lines, rest = text.split("\n")
        for line in lines:
            self._line.append(line)
            self._state, _ = _after("".join(self._line), self._state)
            self._line = []
            self._place, self._no_new_line = None, False
        if rest:
            self._line.append(rest)

    def place(self) -> Place:
        """Return what stands at the end of the text, if its line goes on."""
        if self._place is None:
            _, self._place = _after("".join([*self._line, "x"]), self._state)
        return self._place

    def takes_new_line(self, rest: str = "", following: str = "") -> bool:
        """Return whether a new line would begin Markdown here, outside of all containers.

        It would not if the line after it would be another block than it is, as one that begins
        with `12)` cannot interrupt a paragraph.

        Args:
            rest: of the line; or the beginning of that.
            following: the line after it.
        """
        if not self._no_new_line:
            line = "".join(self._line)
            ended, _ = _after(line, self._state)
            state, place = _after(f"x{rest}", ended)
            self._no_new_line = bool(ended.containers or state.containers) or place != "text"
            if not self._no_new_line and following.strip():
                whole, _ = _after(line + rest, self._state)
                was, _ = _after(following, whole)
                would, _ = _after(following, state)
                changed = (was.containers, was.leaf.kind) != (would.containers, would.leaf.kind)
                self._no_new_line = changed
        return not self._no_new_line


def _after(line: str, state: _State) -> tuple[_State, Place]:
    """Return what is open after a line, and what stands at the end of the line."""
    rest = line.rstrip("\r").expandtabs(4)
    containers, leaf = state
    matched = 0
    for width in containers:
        if width == _QUOTE:
            begun = re.match(" {0,3}> ?", rest)
            if begun is None:
                break
            rest = rest[begun.end() :]
        elif rest.strip() and not rest.startswith(" " * width):
            break
        else:
            rest = rest[width:]
        matched += 1
    inside = matched == len(containers)
    if inside and leaf.kind in {"fence", "html", "indented"}:
        goes_on = _continued(rest, state)
        if goes_on is not None:
            return goes_on
        leaf = _NONE
    return _begun(rest, containers, matched, leaf)


def _continued(rest: str, state: _State) -> tuple[_State, Place] | None:
    """Return the state after a line of a block of code or HTML; `None` if the block is over."""
    leaf, ended = state.leaf, state._replace(leaf=_NONE)
    if leaf.kind == "fence":
        fence = str(leaf.detail)
        closes = rest.strip().startswith(fence) and not rest.strip().strip(fence[0])
        return (ended if closes and _indent(rest) < 4 else state), "code"
    if leaf.kind == "indented":
        return (state, "code") if _indent(rest) >= 4 or not rest.strip() else None
    end = _HTML[int(leaf.detail)][1]
    if not end:
        return (state, "html") if rest.strip() else None
    return (ended if end.search(rest) else state), "html"


def _begun(
    rest: str, containers: tuple[int, ...], matched: int, leaf: _Leaf
) -> tuple[_State, Place]:
    """Return the state after a line that may begin blocks, and what stands at the line's end.

    Args:
        rest: the line after the prefixes of the containers that it continues.
        containers: those that were open.
        matched: how many of them the line continues.
        leaf: the block that was open in the innermost one.
    """
    paragraph = leaf.kind == "paragraph"
    stack = containers[:matched]
    fresh = False  # whether this line has begun a container
    while True:
        own = paragraph and not fresh and matched == len(containers)
        lazy = own or (paragraph and not fresh and leaf.detail != _TABLE)
        indent = _indent(rest)
        if indent >= 4:
            if lazy:
                break
            return _State(stack, _Leaf("indented")), "code"
        rest = rest[indent:]
        if rest.startswith(">"):
            rest = rest[1:].removeprefix(" ")
            stack, fresh = (*stack, _QUOTE), True
            continue
        if (begun := _leaf_begun(rest, lazy=lazy, own=own)) is not None:
            return _State(stack, begun[0]), begun[1]
        item = _ITEM.match(rest)
        if item is None or (own and (item.end() == len(rest) or item[2] not in {None, "1"})):
            break
        spaces = len(item[3])
        width = len(item[1]) + (spaces if spaces <= 4 and item.end() < len(rest) else 1)
        rest = rest[width:]
        stack, fresh = (*stack, indent + width), True
    if not rest.strip():
        return _State(stack), "text"
    cells = _cells(rest)
    detail: str | int = len(cells)
    delimits = bool(cells) and leaf.detail == detail and all(map(_DELIMITER.fullmatch, cells))
    if own and (leaf.detail == _TABLE or delimits):
        detail = _TABLE
    return _State(containers if lazy else stack, _Leaf("paragraph", detail)), "text"


def _leaf_begun(rest: str, *, lazy: bool, own: bool) -> tuple[_Leaf, Place] | None:
    """Return the block other than a paragraph that a line begins, and what it contains.

    Args:
        rest: the line after the prefixes of its containers.
        lazy: whether the line would else continue a paragraph.
        own: whether that paragraph is in the same containers as the line.
    """
    if _HEADING.match(rest) or (own and _UNDERLINE.match(rest)) or _BREAK.match(rest):
        return _NONE, "text"
    if fence := _FENCE.match(rest):
        return _Leaf("fence", fence[1] or fence[2]), "code"
    if rest.startswith("<"):
        for kind, (begin, end) in enumerate(_HTML):
            if begin.match(rest) and not (kind == _ALONE and lazy):
                return (_NONE if end and end.search(rest) else _Leaf("html", kind)), "html"
    return None


def _cells(line: str) -> list[str]:
    """Return the cells that a line has as a row of a table."""
    cells = [cell.strip() for cell in _CELL_END.split(line.strip())]
    return cells[not cells[0] : len(cells) - (len(cells) > 1 and not cells[-1])]


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
