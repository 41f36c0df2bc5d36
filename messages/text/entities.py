"""HTML entities in a prompt tag: a prompt is encoded once when written, decoded once when read."""

import html
import re
from html.entities import html5

PASSES = 16
"""How often a text is decoded at most: other programs encode a text a few times."""

_ENTITY = re.compile(r"&([A-Za-z][0-9A-Za-z]{0,31};|#[0-9]{1,7};|#[xX][0-9A-Fa-f]{1,6};)")


def decoded_once(text: str) -> str:
    """Return a text with its HTML entities decoded once: `&amp;lt;` becomes `&lt;`, not `<`.

    An entity has a name of HTML or a number, and ends with a semicolon. Browsers also decode a few
    old names without one (`&copy`), but not in attributes before a letter or `=`. So `AT&T`,
    `R&D;` and `?a=1&copy=2` stay as they are.

    Args:
        text: the text of a prompt, as it stands in its tag.
    """
    return _ENTITY.sub(_character, text) if "&" in text else text


def decoded(text: str) -> str:
    """Decode the HTML entities of a text until nothing changes, 16 times at most.

    The result is the same however often another program has encoded or decoded the text.
    """
    for _ in range(PASSES):
        plain = html.unescape(text) if "&" in text else text
        if plain == text:
            break
        text = plain
    return text


def canonical(text: str) -> str:
    """Return a prompt's text as it is compared: decoded, all white space as single spaces."""
    return " ".join(decoded(text).split())


def entity(character: str) -> str:
    """Return a character as an HTML entity."""
    return _NAMES.get(character, f"&#{ord(character)};")


def encoded(text: str, symbols: str) -> str:
    """Return a text with some symbols as HTML entities, so that `decoded_once` returns the text.

    An `&` is encoded where it begins an entity; any other stays.

    Args:
        text: the text.
        symbols: a regular expression of single characters to encode.
    """

    def encode(found: "re.Match[str]") -> str:
        if found[0] == "&":
            begun = _ENTITY.match(text, found.start())
            if begun is None or _character(begun) == begun[0]:
                return "&"
        return entity(found[0])

    return re.sub(f"&|{symbols}", encode, text)


_NAMES = {"<": "&lt;", ">": "&gt;", '"': "&quot;", "&": "&amp;"}


def _character(found: "re.Match[str]") -> str:
    """Return what an entity stands for, or the entity itself if HTML has none of this name."""
    name = found[1]
    return html.unescape(found[0]) if name[0] == "#" else html5.get(name, found[0])
