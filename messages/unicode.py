"""Text that UTF-8 can carry, and text that a terminal may show."""

import re
import unicodedata

MAX_SHOWN = 72
"""Characters of a prompt that are shown."""

_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # colours, movements of the cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # titles, links
    r"|\x1b[ -/]*[0-~]?"
)
_LETTERS = {"L", "M", "N", "P", "S"}


def wellformed(text: str) -> str:
    """Return a text that UTF-8 can carry.

    JSON escapes and broken decoders leave half characters (surrogates). Two halves that belong
    together are joined; a half that stands alone is replaced by U+FFFD. All else stays as it is.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def shown(text: str, limit: int = MAX_SHOWN) -> str:
    """Return a text as a terminal may show it: one line, printable, at most `limit` characters."""
    text = _ESCAPE.sub(" ", text[: 20 * limit])
    text = "".join(char if unicodedata.category(char)[0] in _LETTERS else " " for char in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
