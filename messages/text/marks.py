"""The marks of pictures in a text, and of pictures that could not be made."""

import html
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple
from urllib.parse import quote

import regex

from limner.messages.pictures import Failure, Placement
from limner.messages.prompts import PromptMatch
from limner.messages.text.extension_images import extension_images
from limner.messages.text.notation import Markup
from limner.messages.text.patterns import Pattern

MAX_MARK = 4_194_304
"""Characters of one mark; a picture's address may be a whole picture, as a data URI."""

MAX_ALT = 300
"""Characters of a picture's alternative text, or of a failure's reason, before escaping."""

_SPACE = r"[ \t\n\f\r]"  # what HTML takes for white space
_MANY = "{0,1000}+"  # attributes, or words: each takes memory until all of them are read
_WORD = r"[^ \t\n\f\r<>=]*+"
_PICTURE = "[0-9a-f]{20}:[0-9a-f]{32}"
_FAILURE = "[0-9a-f]{20}:[0-9a-f]{20}"
_WORDS = r"(?:[^\\\[\]<\n]++|\\.)*+"


def _quoted(inside: str) -> str:
    """Return a regular expression of a quoted value.

    Args:
        inside: what stands between the quotes, with `{0}` for the quote itself.
    """
    return rf"""(?:"{inside.format('"')}"|'{inside.format("'")}')"""


def _begun(tag: str, attribute: str, *, before: str, value: str = "") -> str:
    """Return a regular expression of an HTML tag up to the end of one of its attributes.

    Args:
        tag: the tag's name.
        attribute: the attribute, with `{0}` for its value; the first such attribute counts.
        before: the quoted values that other attributes before it may have.
        value: the attribute's value; it becomes a group.
    """
    other = rf"{_SPACE}++(?!{attribute.format(value)})|={_SPACE}*+(?:{before}|(?![\"']))"
    said = attribute.format(f"({value})")
    return rf"<{tag}(?={_SPACE})(?:{_WORD}(?:{other})){_MANY}{_WORD}{_SPACE}++{said}"


def _tag(tag: str, name: str, value: str) -> str:
    """Return a regular expression of an HTML tag with an attribute of a given value.

    Args:
        tag: the tag's name.
        name: the attribute's name.
        value: the attribute's value, quoted or not; it becomes a group.
    """
    attribute = rf"""{name}{_SPACE}*+={_SPACE}*+(?|"{{0}}"|'{{0}}'|{{0}}(?![^ \t\n\f\r>]))"""
    begun = _begun(tag, attribute, before=_PLAIN, value=value)
    plain = rf"[^<>=]*+(?:={_SPACE}*+(?:{_PLAIN}|(?![\"']))[^<>=]*+){_MANY}"
    return rf"{begun}{plain}(?:={_SPACE}*+{_ANGLED}{plain}){{0,4}}+>"


_PLAIN = _quoted("[^{0}<>]*+")
_ANGLED = _quoted("[^{0}<>]*+(?:>[^{0}<>]*+){{1,16}}+")
_SOURCE = rf"src{_SPACE}*+="
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_ENTITY = re.compile(r"(&#?)([0-9A-Za-z])[0-9A-Za-z]{0,31};?")
_LOOKS = str.maketrans('<>"', "\u2039\u203a\u201d")  # to characters that look alike
_IN_MARKDOWN = re.compile(r"[\\\[\]|]")
_IN_ATTRIBUTE = re.compile(r"[<>\"']")
_IN_LINK = re.compile(r"[\s\x00-\x1f\x7f-\x9f()<>\"'`|\\]")


def _kind(source: str, opener: str, closer: str) -> Pattern:
    return Pattern(source, regex.compile(source, regex.VERSION0), opener, closer, plain=True)


MARKS: Final = (
    _kind(_tag("img", "data-limner", _PICTURE), "<img", ">"),
    _kind(rf'!\[{_WORDS}\]\([^\s()]*+\)<!--data-limner="({_PICTURE})"-->', "![", '"-->'),
    _kind(
        _tag("span", "data-limner-failed", _FAILURE) + "[^<>]*+</span>",
        "<span",
        "</span>",
    ),
    _kind(rf'\[⚠{_WORDS}\]<!--data-limner-failed="({_FAILURE})"-->', "[⚠", '"-->'),
    _kind(
        rf'<!--data-limner(?|="({_PICTURE})"|-failed="({_FAILURE})")-->', "<!--data-limner", '"-->'
    ),
)
"""A picture: an `<img>` tag that holds its placement's id, or a Markdown image directly followed
by a comment that does. A failure: a `<span>` that holds its id, or words in brackets before such a
comment. A leftover: the comment alone. The id is the only group.

A tag is read as browsers read it, since other programs rewrite tags: its attributes in any order,
with either quotes or none, any white space between them. After the id, at most four quoted values
may contain `>`, each at most 16 times. That bounds the work."""

_ANY = regex.compile("|".join(kind.source for kind in MARKS), regex.VERSION0)
_SHOWS = regex.compile(_begun("img", _SOURCE, before=_quoted("[^{0}<]*+")), regex.VERSION0)
_TAG: Final = 1  # the group of a picture in HTML
_NAMED = re.compile(f"{_PICTURE}|{_FAILURE}")
_NAMES_FAILURE = re.compile(_FAILURE)


Kind = Literal["picture", "failure", "leftover"]


class Mark(NamedTuple):
    """The mark of a picture or failure in a text: one of Limner's, or an image of the extension.

    Args:
        kind: what it marks; a `leftover` is what another program left of the mark of a picture or
            failure: a comment alone, or an `<img>` tag without an address.
        markup: how it is written.
        id: the picture's placement id, `prompt:picture`; of a failure, `prompt:task`.
        start: where it begins, in characters.
        end: where it ends.
        foreign: whether SillyTavern's auto-illustrator extension wrote it, not Limner.
    """

    kind: Kind
    markup: Markup
    id: str
    start: int
    end: int
    foreign: bool = False

    @property
    def prompt_id(self) -> str:
        """Whose picture or failure it is."""
        return self.id.partition(":")[0]


_KINDS: Final[tuple[tuple[Kind, Markup], ...]] = (
    ("picture", "html"),
    ("picture", "markdown"),
    ("failure", "html"),
    ("failure", "markdown"),
    ("leftover", "markdown"),
)


def find_marks(text: str, matches: Sequence[PromptMatch] = ()) -> list[Mark]:
    """Find the marks of a text, in its order; no two overlap.

    The images of SillyTavern's auto-illustrator extension are among them, with the line ends that
    the extension put around them.

    Args:
        text: the text.
        matches: its prompt tags, in order; what stands within a tag is no mark.
    """
    marks = _own_marks(text, matches)
    foreign = list(extension_images(text))
    if not foreign:
        return marks
    taken = sorted(
        [(own.start, own.end) for own in marks] + [(tag.start, tag.end) for tag in matches]
    )
    done = 0
    for image in foreign:
        at = bisect_right(taken, (image.start, len(text)))
        done = max(done, taken[at - 1][1] if at else 0)
        limit = taken[at][0] if at < len(taken) else len(text)
        if done <= image.start and image.end <= limit:
            start, end = max(done, image.before), min(limit, image.after)
            marks.append(Mark(image.kind, "html", image.id, start, end, foreign=True))
            done = end
    return sorted(marks, key=lambda mark: mark.start)


def _own_marks(text: str, matches: Sequence[PromptMatch]) -> list[Mark]:
    marks: list[Mark] = []
    at = after = 0
    while (name := text.find("data-limner", at)) >= 0:
        # what it may be in begins on its line, if that is Markdown, else at the last `<`
        before = "\n" if text.endswith("<!--", at, name) else "<"
        found = _ANY.search(text, max(at, text.rfind(before, at, name)))
        if found is None:
            break
        done = at
        start, at = found.span()
        while after < len(matches) and matches[after].end <= start:
            after += 1
        if after < len(matches) and matches[after].start < at:
            at = matches[after].end
        elif at - start <= MAX_MARK:
            group = found.lastindex or 1
            kind, markup = _KINDS[group - 1]
            if group == _TAG and not _SHOWS.match(text, start, at):
                kind = "leftover"
            elif kind == "leftover" and text[start - 1] == ")" and "![" in text[done:start]:
                continue  # another program has rewritten the image before it, which is still there
            marks.append(Mark(kind, markup, id=found[group], start=start, end=at))
    return marks


def marked(text: str) -> frozenset[str]:
    """Return the ids of the placements whose marks are in a text."""
    return frozenset(found.id for found in _own_marks(text, ()) if found.kind == "picture")


def failures_marked(text: str) -> frozenset[str]:
    """Return the ids of the failures whose marks are in a text."""
    if "data-limner-failed" not in text:
        return frozenset()
    return frozenset(found.id for found in _own_marks(text, ()) if found.kind == "failure")


def mark(
    placement: Placement, markup: Markup, *, attributes: Mapping[str, str] | None = None
) -> str:
    """Return the mark of a picture, as it stands in a text.

    The mark holds the placement's id. The prompt is the alternative text, on one line and cut to
    300 characters. HTML decoding, however often, cannot end the mark early: in the alternative text
    `<`, `>` and `"` are replaced by characters that look alike, and in the address they are
    percent-encoded.

    Args:
        placement: the picture, and the prompt that it belongs to.
        markup: how it is written.
        attributes: further attributes of the `<img>`, checked already; Markdown has none of them.

    Raises:
        ValueError: if the placement's id is not one that `limner.messages.ids` made.
    """
    name = f'data-limner="{_named(placement.id, "a placement")}"'
    alt = _line(placement.prompt)
    url = _ENTITY.sub(_as_address, placement.picture.url)
    ends = _IN_ATTRIBUTE if markup == "html" else _IN_LINK
    url = ends.sub(lambda found: quote(found[0], safe=""), url)
    if markup == "html":
        more = (f' {key}="{_in_html(_line(value))}"' for key, value in (attributes or {}).items())
        written = f'alt="{_in_html(alt)}" src="{_in_html(html.escape(url))}"'
        return f"<img {name} {written}{''.join(more)}>"
    return f"![{_in_markdown(alt)}]({url})<!--{name}-->"


def failure_mark(failure: Failure, markup: Markup) -> str:
    """Return the small mark of a picture that could not be made: the failure's id and reason.

    The reason is on one line and cut to 300 characters.

    Raises:
        ValueError: if the failure's ids are not ones that `limner.messages.ids` made.
    """
    name = f'data-limner-failed="{_named(failure.id, "a failure")}"'
    why = _line(failure.reason)
    if markup == "html":
        return f'<span {name} title="{_in_html(why)}">⚠</span>'
    return f"[⚠ {_in_markdown(why)}]<!--{name}-->"


def names_failure(name: str) -> bool:
    """Return whether an id is that of a failure, `prompt:task`."""
    return _NAMES_FAILURE.fullmatch(name) is not None


def _named(name: str, kind: str) -> str:
    if not _NAMED.fullmatch(name):
        raise ValueError(f"{name!r} is not the id of {kind}")
    return name


def _line(text: str) -> str:
    """Return a text on one line, cut and escaped so that decoding it as HTML makes no quote."""
    line = _BLANK.sub(" ", html.unescape(text)).strip()
    line = line if len(line) <= MAX_ALT else line[: MAX_ALT - 1] + "…"
    return html.escape(_ENTITY.sub(_as_words, line.translate(_LOOKS)))


def _in_html(value: str) -> str:
    """Return the value of an attribute so that Markdown around the tag sees no symbol in it.

    A backquote before the tag would begin code that ends at one in it, and `|` ends a table's cell.
    """
    return value.replace("`", "&#96;").replace("|", "&#124;")


def _in_markdown(line: str) -> str:
    """Return the words of a mark so that they end neither the brackets nor a cell of a table.

    A backquote is an entity, since one before the mark would begin code that ends at it.
    """
    return _IN_MARKDOWN.sub(r"\\\g<0>", line).replace("`", "&#96;")


def _as_words(found: "re.Match[str]") -> str:
    """Replace the `&` of an HTML entity, so that the entity is not decoded."""
    return f"\uff06{found[0][1:]}" if html.unescape(found[0]) != found[0] else found[0]


def _as_address(found: "re.Match[str]") -> str:
    """Percent-encode one character of an HTML entity, so that the entity is not decoded."""
    if html.unescape(found[0]) == found[0]:
        return found[0]
    begin, first = found.groups()
    return f"{begin}%{ord(first):02X}{found[0][found.end(2) - found.start() :]}"
