"""The images of a text, and which pictures they are, with a mark or without."""

import re
from collections.abc import Collection, Iterator
from itertools import islice, zip_longest
from typing import NamedTuple
from urllib.parse import unquote

from limner.messages.pictures import Placement
from limner.messages.text.entities import PASSES, decoded
from limner.messages.text.mark_editor import MarkEditor

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


def standing(editor: MarkEditor, placements: Collection[Placement]) -> set[str]:
    """Return the ids of those pictures that are in a text, with a mark or without.

    An image without a mark counts as the picture with its address whose tag is the last one before
    the image. Two pictures with one address are both in the text only if two images are.

    Args:
        editor: the text.
        placements: the pictures to look for.
    """
    present, unmarked = standing_images(editor, placements)
    return present | unmarked.keys()


def standing_images(
    editor: MarkEditor, placements: Collection[Placement]
) -> tuple[set[str], dict[str, int]]:
    """Return the ids of the pictures with a mark; and where the images of others begin, by id."""
    present = {name for name, marks in editor.present.items() if marks[0].kind == "picture"}
    missing = {placement.id: placement for placement in placements if placement.id not in present}
    if not missing:
        return present, {}
    tags = [image for image in images_in_html(editor.text) if image.name not in editor.leftovers]
    images = sorted((*tags, *images_in_markdown(editor.text)), key=lambda image: image.at)
    present |= {image.name for image in images if image.name is not None}
    wanted: dict[str, list[tuple[int, str]]] = {}
    for name, placement in missing.items():
        if name not in present:
            at = editor.tags.index(placement.prompt_id)
            end = len(editor.text) if at is None else editor.tags.matches[at].end
            wanted.setdefault(address(placement.picture.url), []).append((end, name))
    longest = GROWTH * max(map(len, wanted), default=0)
    unmarked: dict[str, list[int]] = {}
    for _, at, named, urls in images:
        if named is None:
            short = (url for url in urls if len(url) <= longest)
            found = next((url for url in map(address, short) if url in wanted), None)
            if found is not None:
                unmarked.setdefault(found, []).append(at)
    starts = {image.at: image.start for image in images}
    found_at: dict[str, int] = {}
    for known, places in unmarked.items():
        for name, at in _assigned(sorted(wanted[known]), places):
            found_at[name] = starts[at]
    return present, found_at


def address(url: str) -> str:
    """Return an address as it is compared: entities and percent-encoding decoded, no line ends."""
    for _ in range(PASSES):
        plain = _DROPPED.sub("", unquote(decoded(url))).strip()
        if plain == url:
            break
        url = plain
    return url


class Image(NamedTuple):
    """An image in a text.

    Args:
        start: where it begins, in characters.
        at: where its address is looked for.
        name: the id of the placement that it is marked with, if it is.
        urls: what its address may be.
    """

    start: int
    at: int
    name: str | None
    urls: Iterator[str]


def images_in_html(text: str) -> Iterator[Image]:
    """Yield the `<img>` tags.

    A tag's address is looked for up to the next tag, since decoding may have broken its end.
    """
    tags = list(_HTML.finditer(text))
    for tag, after in zip_longest(tags, tags[1:]):
        stop = after.start() if after else len(text)
        yield Image(tag.start(), tag.start(), tag[1], _sources(text, tag.end(), stop))


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


def images_in_markdown(text: str) -> Iterator[Image]:
    """Yield the Markdown images; an image's address is looked for up to the next link."""
    links = [found.end() for found in _LINK.finditer(text)]
    for before, start, stop in zip([0, *links], links, [*links[1:], len(text)], strict=False):
        begun = text.rfind("![", before, start)
        if begun < 0:
            continue
        marked = next(
            (found for end in _ends(text, ")", start, stop) if (found := _MARKED.match(text, end))),
            None,
        )
        yield Image(begun, start, marked and marked[1], _targets(text, start, stop))


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


def _assigned(wanted: list[tuple[int, str]], places: list[int]) -> Iterator[tuple[str, int]]:
    """Yield the pictures that images without a mark are, and the positions of the images.

    Each image is the last picture that is not assigned yet and whose tag is before the image. If
    there is none, it is one of the others.

    Args:
        wanted: the pictures by the position of their tag's end, sorted.
        places: the positions of the images, in order.
    """
    waiting: list[str] = []
    later = wanted[::-1]
    left: list[int] = []
    for at in places:
        while later and later[-1][0] <= at:
            waiting.append(later.pop()[1])
        if waiting:
            yield waiting.pop(), at
        else:
            left.append(at)
    yield from zip([*waiting, *(name for _, name in reversed(later))], left, strict=False)
