"""Find the images that SillyTavern's auto-illustrator extension has put into a text.

The extension writes them after a prompt's tag, in one of these forms, the newest first:

    TAG⏎<!-- auto-illustrator:promptId=ID,imageUrl=URL -->⏎<img src alt title class …/>⏎
    TAG⏎<img src alt title="AI generated image: …">
    TAG⏎<img src title="AI generated image #1" alt>

A picture that it could not make is such an image with `data-failed-placeholder="true"`. Its first
version wrote `<img src title alt>` in place of the tag; nothing tells that from an image of
anybody else, so it is left alone.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

MAX_ATTRIBUTES: Final = 32
"""Attributes that an `<img>` tag may have; the extension writes 8 at most."""

MAX_WRITTEN: Final = 200
"""Characters of a value that holds `<` or `>`, as one that another program has decoded may."""

_SPACE = r"[ \t\n\f\r]"
_COMMENT_BEGUN = "<!-- auto-illustrator:"
_BEGUN = re.compile(rf"{_COMMENT_BEGUN}|<img(?=[/ \t\n\f\r])")
_COMMENT = re.compile(rf"{_COMMENT_BEGUN}promptId=([^,<>]{{1,200}}+),imageUrl=([^<>]*+)>")
_GAP = re.compile(rf"{_SPACE}{{0,10}}+(?=<img)")
_ATTRIBUTE = re.compile(
    rf"""(?:{_SPACE}|/)++([^\s"'<>/=]{{1,100}}+){_SPACE}{{0,9}}+={_SPACE}{{0,9}}+"""
    rf"""(?:"([^"<>]*+|[^"]{{0,{MAX_WRITTEN}}}+)"|'([^'<>]*+|[^']{{0,{MAX_WRITTEN}}}+)'"""
    r"""|([^\s"'<>=`]{1,4000}+)(?=[\s>]))"""
)
_END = re.compile(rf"{_SPACE}{{0,9}}+/?>")
_HINTS = ("auto-illustrator", "AI generated image")


class ExtensionImage(NamedTuple):
    """An image that the extension has put into a text, or what is left of one.

    Args:
        kind: `picture`; `failure`, of a picture that it could not make; `leftover`, its comment
            without the image.
        id: made of the extension's id of the prompt, the image's address, and how many such images
            stand before it.
        before: where the line end begins that the extension put before it, in characters.
        start: where its comment or tag begins.
        end: where its comment or tag ends.
        after: where the line end ends that the extension put after it.
    """

    kind: Literal["picture", "failure", "leftover"]
    id: str
    before: int
    start: int
    end: int
    after: int


def extension_images(text: str) -> Iterator[ExtensionImage]:
    """Yield the images of the extension, in the text's order; no two overlap.

    The work is bounded: a tag is read up to the next `<`, but for short values.
    """
    if not any(hint in text for hint in _HINTS):
        return
    seen: Counter[tuple[str, str]] = Counter()
    at = 0
    while begun := _BEGUN.search(text, at):
        start, at = begun.start(), begun.end()
        prompt, url, whole = "", "", False  # what the comment says, if it is one
        tag: int | None = start
        if begun[0] == _COMMENT_BEGUN:
            comment = _COMMENT.match(text, start)
            if comment is None or not comment[2].endswith("--"):
                continue
            prompt, url, whole = comment[1], _plain(comment[2][:-2]), True
            at = comment.end()
            gap = _GAP.match(text, at)
            tag = gap and gap.end()
        image = None if tag is None else _image(text, tag)
        kind: Literal["picture", "failure", "leftover"] = "leftover"
        if image is not None and image.is_of_extension(url if whole else None):
            kind, at = "failure" if image.failed else "picture", image.end
            prompt, url = image.attributes.get("data-prompt-id", prompt), image.url
            whole = whole or image.has_class
        elif not whole:
            continue
        number = seen[prompt, url]
        seen[prompt, url] += 1
        yield ExtensionImage(
            kind=kind,
            id=_id(kind, prompt, url, number),
            before=_before_line_end(text, start),
            start=start,
            end=at,
            after=_after_line_end(text, at) if whole else at,  # older forms wrote none after it
        )


class _Image(NamedTuple):
    """An `<img>` tag: its attributes, of each name the first, and where it ends."""

    attributes: dict[str, str]
    end: int

    @property
    def url(self) -> str:
        return _plain(self.attributes.get("src", ""))

    @property
    def has_class(self) -> bool:
        return "auto-illustrator-img" in self.attributes.get("class", "").split()

    @property
    def failed(self) -> bool:
        return "data-failed-placeholder" in self.attributes

    def is_of_extension(self, said: str | None) -> bool:
        """Return whether the extension wrote it.

        Args:
            said: the address that the extension's comment before it names, if there is one.
        """
        if "src" not in self.attributes or "data-limner" in self.attributes:
            return False
        titled = self.attributes.get("title", "").startswith("AI generated image")
        return self.has_class or titled or (said is not None and said == self.url)


def _image(text: str, at: int) -> _Image | None:
    """Read the `<img>` tag that begins at `at`; `None` if it is none that can be read."""
    at += len("<img")
    attributes: dict[str, str] = {}
    for _ in range(MAX_ATTRIBUTES):
        found = _ATTRIBUTE.match(text, at)
        if found is None:
            break
        attributes.setdefault(found[1].lower(), found[found.lastindex or 1])
        at = found.end()
    end = _END.match(text, at)
    return _Image(attributes, end.end()) if end else None


def _plain(url: str) -> str:
    return html.unescape(url).strip()


def _id(kind: str, prompt: str, url: str, number: int) -> str:
    """Return an id like that of a mark of Limner's, which no picture of Limner's has."""
    size = 10 if kind == "failure" else 16
    return (
        f"{_hashed(f'auto-illustrator {prompt}', 10)}:{_hashed(f'{number} {prompt} {url}', size)}"
    )


def _hashed(text: str, size: int) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def _before_line_end(text: str, at: int) -> int:
    """Return where the line end before `at` begins; `at` if there is none."""
    if text.startswith("\n", at - 1) and at > 0:
        at -= 2 if text.startswith("\r\n", at - 2) and at > 1 else 1
    return at


def _after_line_end(text: str, at: int) -> int:
    return at + (2 if text.startswith("\r\n", at) else text.startswith("\n", at))
