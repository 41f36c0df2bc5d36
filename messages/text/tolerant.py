r"""Patterns that also take tags which are nearly those of the default patterns.

They accept what the default patterns accept, with the same prompt, and beside it:

- spaces and line ends between the parts, any case, `image` for `img`, `_`, a space or nothing for
  the hyphen, `:` for `=`;
- other quotes, backquotes, `\"`, `&quot;`, or none; a quote within the prompt;
- other dashes, fewer, or none: `<!—img-prompt="a"—>`; a `/` before the end;
- `&lt;` and `&gt;`; `<img-prompt>a lamp</img-prompt>`.
"""

from itertools import chain
from typing import Any, Final

from limner.messages.text.patterns import DEFAULT_PATTERNS

NAME: Final = r"(?i:im(?:g|age)[-_ \u2010-\u2015]?prompt)"
DASHES: Final = r"[-\u2010-\u2015]{0,3}"
IS: Final = r"\s*[=:]\s*"

_LEFT = rf"!?{DASHES}\s*{NAME}{IS}"
_RIGHT = rf"\s*(?:/\s*)?{DASHES}!?"
_LT, _GT = "&(?:amp;){0,4}lt;", "&(?:amp;){0,4}gt;"
_QUOT = "&(?:amp;){0,4}(?:quot|apos|#34|#39);"


def _quoted(quote: str) -> str:
    """Return a regular expression of a prompt in quotes that may itself have such quotes.

    A quote within it comes before more of the prompt. So it comes not before what ends a tag or
    begins another, nor directly after `=`.
    """
    inside = rf"[^{quote}\\=]|=+[^{quote}\\=]|=*\\[\s\S]"
    return rf"{quote}((?:{inside}|{quote}\s*[^\s{quote}\\<>&/=!\u2010-\u2015-])*=*){quote}"


_PLAIN = rf"(?:{_quoted(chr(34))}|{_quoted(chr(39))})"
_ODD = (
    "(?:[\u201c-\u201f\u00ab]([^\u201c-\u201f\u00ab\u00bb<>]*)[\u201c-\u201f\u00bb]"
    "|[\u2018-\u201b\u2039]([^\u2018\u201a\u201b\u2039\u203a<>]*)[\u2018-\u201b\u203a]"
    r"|`([^`<>]*)`"
    r'|\\"((?:[^"\\<>]|\\[^"])*)\\"'
    f"|{_QUOT}([^<>\"']*?){_QUOT}"
    '|([^\\s"\'`\u2018-\u201f\u2039\u00ab<>&=\\\\/-][^\\s<>"=&]*?(?:\\s+[^\\s<>"=&]+?)*?))'
)

TOLERANT_PATTERNS: Final[tuple[str, ...]] = (
    *DEFAULT_PATTERNS,
    f"<{_LEFT}{_PLAIN}{_RIGHT}>",
    f"<{_LEFT}{_ODD}{_RIGHT}>",
    rf"{_LT}{_LEFT}{_PLAIN}{_RIGHT}{_GT}",
    rf"{_LT}{_LEFT}{_ODD}{_RIGHT}{_GT}",
    rf"<{NAME}>([^<>]*)</{NAME}>",
)
"""The default patterns, and patterns of tags that are nearly theirs."""

PATTERN_SETS: Final = {"default": DEFAULT_PATTERNS, "tolerant": TOLERANT_PATTERNS}
"""Names that may stand for patterns in settings, and the patterns that they stand for."""


def with_named(given: Any) -> Any:
    """Return patterns with each name of a set replaced by its patterns, none of them twice.

    Args:
        given: a name, or patterns and names in a list; what is no text is returned as it is.

    Raises:
        ValueError: if it is a text and no name.
    """
    if isinstance(given, str):
        if given not in PATTERN_SETS:
            names = " or ".join(map(repr, PATTERN_SETS))
            raise ValueError(f"a list of regular expressions, or {names}, not {given!r:.80}")
        return PATTERN_SETS[given]
    if isinstance(given, list | tuple) and any(
        isinstance(each, str) and each in PATTERN_SETS for each in given
    ):
        sources = (
            PATTERN_SETS.get(each, (each,)) if isinstance(each, str) else (each,) for each in given
        )
        return tuple(dict.fromkeys(chain.from_iterable(sources)))
    return given
