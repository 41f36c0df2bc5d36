"""Put back the pictures that another program has stripped from a text."""

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
from limner.messages.text.prompt_tags import PASSES, PromptTags, decoded

NO_TEXT = "the text is gone"
ENCODED = "it stands in the text, but encoded; decode the text"
PROMPT_ENCODED = "its prompt stands in the text, but encoded; decode the text"
STRANGER = "its tag has a picture that is not known here, as if lines or files were moved"

TRIES = 8
"""How many ends of an image's address are tried, where decoding has broken its quotes."""

GROWTH = 64
"""How many times longer than the address an encoded address may be; longer ones are skipped."""

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

    A picture is in the text if its mark is, or an image with its address, as HTML or as Markdown,
    however often the address was encoded or decoded. A missing picture goes in place of a leftover
    of its mark, else after the older pictures beside its tag. Reconciling twice gives the same as
    reconciling once.

    A picture is not put back if a picture of an unknown prompt stands directly after its tag, since
    the registry may be of another text. It is not put back either if its mark is in the text in
    encoded form, since it would be there twice once the text is decoded.

    Args:
        text: the text, which UTF-8 can carry; `None` if it is gone.
        registry: what is known of the message; its `placed` pictures should be in the text.
        message_id: the message.
        notation: how prompts and pictures stand in the text.

    Returns:
        The text; as `placed` the pictures that were put back, as `unplaced` those that could not
        be, and why.

    Raises:
        SettingsInvalid: if a pattern cannot be used.
    """
    expected = [link.placement for link in registry.links if link.state == "placed"]
    if text is None:
        lost = (Unplaced(placement=placement, reason=NO_TEXT) for placement in expected)
        return Composed(text="", unplaced=tuple(lost))
    editor = MarkEditor(PromptTags(text, registry, message_id=message_id, notation=notation))
    present = standing(editor, expected)
    missing = []
    strangers = {at for name, at in editor.tag_before.items() if _is_stranger(editor, name)}
    encoded = _Encoded(editor)
    ends: dict[int, tuple[int, Rank]] = {}  # where the older pictures of each tag end
    for placement in expected:
        at = editor.tags.index(placement.prompt_id)
        marks = editor.present.get(placement.id)
        if placement.id not in present:
            missing.append(placement)
            marks = editor.leftovers.get(placement.id)
            if marks:
                editor.put(marks[0].end, Rank.INSTEAD, placement)
            elif placement.id in encoded.images:
                editor.refuse(placement.id, ENCODED)
            elif at in strangers:
                editor.refuse(placement.id, STRANGER)
            elif at is None and encoded.has_tag_of(placement.prompt_id):
                editor.refuse(placement.id, PROMPT_ENCODED)
            elif at is not None:
                editor.put(*ends.get(at, (editor.tags.matches[at].end, Rank.FIRST)), placement)
        if at is not None and marks and marks[0] in editor.beside[at]:
            ends[at] = max(ends.get(at, (0, Rank.FIRST)), (marks[0].end, Rank.AFTER))
    return editor.composed(missing)


def _is_stranger(editor: MarkEditor, name: str) -> bool:
    """Return whether a mark is a picture of a prompt of which nothing is known."""
    mark = editor.present[name][0]
    unknown = mark.prompt_id not in editor.tags.known and editor.tags.index(mark.prompt_id) is None
    return unknown and mark.kind == "picture"


class _Encoded:
    """The images and tags that a text would have if it were decoded; found when first needed."""

    def __init__(self, editor: MarkEditor) -> None:
        self._editor = editor

    @cached_property
    def images(self) -> Collection[str]:
        """The ids of the placements that images name."""
        text = self._plain
        if text is None:
            return ()
        images = (*_in_html(text), *_in_markdown(text))
        return {image.name for image in images if image.name is not None}

    def has_tag_of(self, prompt: str) -> bool:
        """Return whether there is a tag that the pictures of a prompt belong beside."""
        return self._tags is not None and self._tags.index(prompt) is not None

    @cached_property
    def _tags(self) -> PromptTags | None:
        tags = self._editor.tags
        if self._plain is None:
            return None
        return PromptTags(
            self._plain, tags.registry, message_id=tags.message_id, notation=tags.notation
        )

    @cached_property
    def _plain(self) -> str | None:
        plain = decoded(self._editor.text)
        return None if plain == self._editor.text else plain


def standing(editor: MarkEditor, placements: Collection[Placement]) -> set[str]:
    """Return the ids of those pictures that are in a text, with a mark or without.

    An image without a mark counts as the picture with its address whose tag is the last one before
    the image. Two pictures with one address are both in the text only if two images are.

    Args:
        editor: the text.
        placements: the pictures to look for.
    """
    present = {name for name, marks in editor.present.items() if marks[0].kind == "picture"}
    missing = {placement.id: placement for placement in placements if placement.id not in present}
    if not missing:
        return present
    tags = [image for image in _in_html(editor.text) if image.name not in editor.leftovers]
    images = sorted((*tags, *_in_markdown(editor.text)), key=lambda image: image.at)
    present |= {name for _, name, _ in images if name is not None}
    wanted: dict[str, list[tuple[int, str]]] = {}
    for name, placement in missing.items():
        if name not in present:
            at = editor.tags.index(placement.prompt_id)
            end = len(editor.text) if at is None else editor.tags.matches[at].end
            wanted.setdefault(address(placement.picture.url), []).append((end, name))
    longest = GROWTH * max(map(len, wanted), default=0)
    unmarked: dict[str, list[int]] = {}
    for at, named, urls in images:
        if named is None:
            short = (url for url in urls if len(url) <= longest)
            found = next((url for url in map(address, short) if url in wanted), None)
            if found is not None:
                unmarked.setdefault(found, []).append(at)
    for known, places in unmarked.items():
        present.update(_assigned(sorted(wanted[known]), places))
    return present


def address(url: str) -> str:
    """Return an address as it is compared: entities and percent-encoding decoded, no line ends."""
    for _ in range(PASSES):
        plain = _DROPPED.sub("", unquote(decoded(url))).strip()
        if plain == url:
            break
        url = plain
    return url


class _Image(NamedTuple):
    """An image in a text.

    Args:
        at: where it is, in characters.
        name: the id of the placement that it is marked with, if it is.
        urls: what its address may be.
    """

    at: int
    name: str | None
    urls: Iterator[str]


def _in_html(text: str) -> Iterator[_Image]:
    """Yield the `<img>` tags.

    A tag's address is looked for up to the next tag, since decoding may have broken its end.
    """
    tags = list(_HTML.finditer(text))
    for tag, after in zip_longest(tags, tags[1:]):
        stop = after.start() if after else len(text)
        yield _Image(tag.start(), tag[1], _sources(text, tag.end(), stop))


def _sources(text: str, start: int, stop: int) -> Iterator[str]:
    """Yield what the address of an `<img>` tag may be: of each `src` the nearest end first."""

    def ways(source: "re.Match[str]") -> Iterator[str]:
        if source[2]:
            return iter((source[2],))
        first = source.end()
        return (text[first:end] for end in _ends(text, source[1], first, stop))

    sources = map(ways, islice(_SOURCE.finditer(text, start, stop), TRIES))
    urls = (url for nearest in zip_longest(*sources) for url in nearest if url is not None)
    return islice(urls, TRIES)


def _in_markdown(text: str) -> Iterator[_Image]:
    """Yield the Markdown images; an image's address is looked for up to the next link."""
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
    """Yield the pictures that images without a mark are.

    Each image is the last picture that is not assigned yet and whose tag is before the image. If
    there is none, it is one of the others.

    Args:
        wanted: the pictures by the position of their tag's end, sorted.
        places: the positions of the images, in order.
    """
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
