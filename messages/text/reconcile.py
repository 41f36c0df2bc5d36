"""Putting back what another program has taken out of a text."""

import re
from collections.abc import Collection, Iterator
from functools import cached_property
from itertools import islice, zip_longest
from typing import NamedTuple
from urllib.parse import unquote

from limner.messages.pictures import Placement, Unplaced
from limner.messages.registry import Registry
from limner.messages.text.mark_editor import Composed, MarkEditor, Rank
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PASSES, Tags, decoded

NO_TEXT = "the text is gone"
ENCODED = "it stands in the text, but encoded; decode the text"
PROMPT_ENCODED = "its prompt stands in the text, but encoded; decode the text"
STRANGER = "its tag has a picture that is not known here, as if lines or files were moved"

TRIES = 8
"""How many ends of an image's addresses are tried, where decoding has broken its quotes."""

GROWTH = 64
"""How many times as long as it is an address may be written: longer ones are not decoded."""

_ID = r"([0-9a-f]{20}:[0-9a-f]{32})"
_HTML = re.compile(
    rf"""<img(?=[\s/])(?:[^<>]*?\sdata-limner\s{{0,9}}=\s{{0,9}}["']?{_ID})?""", re.IGNORECASE
)
_SOURCE = re.compile(r"""\bsrc\s{0,9}=\s{0,9}(?:(["'])|([^\s<>"']+))""", re.IGNORECASE)
_LINK = re.compile(r"(?<!\\)(?:\\\\)*\]\(")  # a bracket after a backslash is one of the text
_MARKED = re.compile(rf'\)<!--data-limner="{_ID}"-->')
_DROPPED = re.compile(r"[\t\n\r]")


def reconcile(
    text: str | None,
    registry: Registry,
    *,
    message_id: str,
    notation: Notation = Notation(),  # noqa: B008  # it is immutable
) -> Composed:
    """Put each picture that should be in a text, and is not, back beside its tag.

    A picture is there if its mark is, or an image with its address, as HTML or as Markdown,
    however often that was encoded or decoded. One that is not goes after the pictures at its tag
    that are older, or in the place of what remains of its mark; doing so again changes nothing.
    None is put beside a picture of a prompt that is not known, directly after its tag: what is
    known may be of another text. None is put in whose mark is in the text only encoded: it would
    be there twice once that is decoded.

    Args:
        text: the text, which UTF-8 can carry; `None` if it is gone.
        registry: what is known of the message; what it has as placed should be there.
        message_id: the message.
        notation: how prompts and pictures stand in the text.

    Returns:
        The text; as `placed` what was put back, as `unplaced` what could not be, and why.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
    """
    links = [one.placement for one in registry.links if one.state == "placed"]
    if text is None:
        lost = (Unplaced(placement=one, reason=NO_TEXT) for one in links)
        return Composed(text="", unplaced=tuple(lost))
    page = MarkEditor(Tags(text, registry, message_id=message_id, notation=notation))
    there = standing(page, links)
    missing = []
    strangers = {at for name, at in page.after.items() if _strange(page, name)}
    encoded = _Encoded(page)
    ends: dict[int, tuple[int, Rank]] = {}  # where the pictures that are older end, by the tag
    for one in links:
        at = page.tags.index(one.prompt_id)
        marks = page.there.get(one.id)
        if one.id not in there:
            missing.append(one)
            marks = page.remains.get(one.id)
            if marks:
                page.put(marks[0].end, Rank.INSTEAD, one)
            elif one.id in encoded.images:
                page.refuse(one.id, ENCODED)
            elif at in strangers:
                page.refuse(one.id, STRANGER)
            elif at is None and encoded.holds(one.prompt_id):
                page.refuse(one.id, PROMPT_ENCODED)
            elif at is not None:
                page.put(*ends.get(at, (page.tags.matches[at].end, Rank.FIRST)), one)
        if at is not None and marks and marks[0] in page.runs[at]:
            ends[at] = max(ends.get(at, (0, Rank.FIRST)), (marks[0].end, Rank.AFTER))
    return page.composed(missing)


def _strange(page: MarkEditor, name: str) -> bool:
    """Say whether a mark is a picture of a prompt that nothing is known of."""
    mark = page.there[name][0]
    unknown = mark.prompt_id not in page.tags.known and page.tags.index(mark.prompt_id) is None
    return unknown and mark.kind == "picture"


class _Encoded:
    """What a text would hold if it were decoded, looked up if it is asked for."""

    def __init__(self, page: MarkEditor) -> None:
        self._page = page

    @cached_property
    def images(self) -> Collection[str]:
        """The ids of the placements that images name."""
        text = self._plain
        if text is None:
            return ()
        return {one.name for one in (*_in_html(text), *_in_markdown(text)) if one.name is not None}

    def holds(self, prompt: str) -> bool:
        """Say whether a tag is there that the pictures of a prompt belong beside."""
        return self._tags is not None and self._tags.index(prompt) is not None

    @cached_property
    def _tags(self) -> Tags | None:
        tags = self._page.tags
        if self._plain is None:
            return None
        return Tags(self._plain, tags.registry, message_id=tags.message_id, notation=tags.notation)

    @cached_property
    def _plain(self) -> str | None:
        plain = decoded(self._page.text)
        return None if plain == self._page.text else plain


def standing(page: MarkEditor, placements: Collection[Placement]) -> set[str]:
    """Give the ids of those pictures that stand in a text, marked or not.

    Two pictures that have one address are both there only if two images are; an image that is
    not marked is taken for the picture whose tag is the last before it.

    Args:
        page: the text.
        placements: the pictures to look for.
    """
    there = {name for name, marks in page.there.items() if marks[0].kind == "picture"}
    missing = {one.id: one for one in placements if one.id not in there}
    if not missing:
        return there
    tags = [one for one in _in_html(page.text) if one.name not in page.remains]
    images = sorted((*tags, *_in_markdown(page.text)), key=lambda one: one.at)
    there |= {name for _, name, _ in images if name is not None}
    wanted: dict[str, list[tuple[int, str]]] = {}
    for name, one in missing.items():
        if name not in there:
            at = page.tags.index(one.prompt_id)
            end = len(page.text) if at is None else page.tags.matches[at].end
            wanted.setdefault(address(one.picture.url), []).append((end, name))
    longest = GROWTH * max(map(len, wanted), default=0)
    unmarked: dict[str, list[int]] = {}
    for at, named, urls in images:
        if named is None:
            short = (url for url in urls if len(url) <= longest)
            found = next((one for one in map(address, short) if one in wanted), None)
            if found is not None:
                unmarked.setdefault(found, []).append(at)
    for known, places in unmarked.items():
        there.update(_assigned(sorted(wanted[known]), places))
    return there


def address(url: str) -> str:
    """Give an address as it is compared: entities and percent-encoding decoded, no line ends."""
    for _ in range(PASSES):
        plain = _DROPPED.sub("", unquote(decoded(url))).strip()
        if plain == url:
            break
        url = plain
    return url


class _Image(NamedTuple):
    """An image in a text: the placement that it names, or what its address may be."""

    at: int
    name: str | None
    urls: Iterator[str]


def _in_html(text: str) -> Iterator[_Image]:
    """Give the `<img>` tags; one reaches to the next, since decoding may have broken its end."""
    tags = list(_HTML.finditer(text))
    for tag, after in zip_longest(tags, tags[1:]):
        stop = after.start() if after else len(text)
        yield _Image(tag.start(), tag[1], _sources(text, tag.end(), stop))


def _sources(text: str, start: int, stop: int) -> Iterator[str]:
    """Give what the address of an `<img>` tag may be: of each `src` the nearest end first."""

    def ways(source: "re.Match[str]") -> Iterator[str]:
        if source[2]:
            return iter((source[2],))
        first = source.end()
        return (text[first:end] for end in _ends(text, source[1], first, stop))

    sources = map(ways, islice(_SOURCE.finditer(text, start, stop), TRIES))
    urls = (url for nearest in zip_longest(*sources) for url in nearest if url is not None)
    return islice(urls, TRIES)


def _in_markdown(text: str) -> Iterator[_Image]:
    """Give the Markdown images; one reaches to the next link."""
    links = [found.end() for found in _LINK.finditer(text)]
    for before, start, stop in zip([0, *links], links, [*links[1:], len(text)], strict=False):
        if text.rfind("![", before, start) < 0:
            continue
        marked = next(
            (found for end in _ends(text, ")", start, stop) if (found := _MARKED.match(text, end))),
            None,
        )
        yield _Image(start, marked and marked[1], _targets(text, start, stop))


def _targets(text: str, start: int, stop: int) -> Iterator[str]:
    for end in _ends(text, ")", start, stop):
        url = text[start:end].strip()
        yield url
        yield url.partition(" ")[0]
        yield url.removeprefix("<").partition(">")[0]


def _ends(text: str, closer: str, start: int, stop: int) -> Iterator[int]:
    for _ in range(TRIES):
        start = text.find(closer, start, stop)
        if start < 0:
            return
        yield start
        start += 1


def _assigned(wanted: list[tuple[int, str]], places: list[int]) -> Iterator[str]:
    """Give the pictures that images at some places are, each the last one whose tag is before."""
    waiting: list[str] = []
    later = wanted[::-1]
    left = 0
    for at in places:
        while later and later[-1][0] <= at:
            waiting.append(later.pop()[1])
        if waiting:
            yield waiting.pop()
        else:
            left += 1
    yield from [*waiting, *(name for _, name in reversed(later))][:left]
