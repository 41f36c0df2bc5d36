"""The attributes that a host may add to each `<img>` tag."""

import re
from collections.abc import Callable, Mapping
from typing import Final

MAX_VALUE = 200
"""Characters of one attribute's value."""

_SIZE = re.compile(r"[0-9]{1,5}%?")
_CLASS = re.compile(r"[A-Za-z_-][\w:./-]*(?: [A-Za-z_-][\w:./-]*)*", re.ASCII)


def _words(*words: str) -> tuple[Callable[[str], object], str]:
    return words.__contains__, " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


_ALLOWED: Final[Mapping[str, tuple[Callable[[str], object], str]]] = {
    "class": (_CLASS.fullmatch, "names of letters, digits and _-:./ with single spaces between"),
    "decoding": _words("async", "auto", "sync"),
    "height": (_SIZE.fullmatch, "a number of pixels, or a percentage such as 50%"),
    "loading": _words("eager", "lazy"),
    "title": (str.isprintable, "printable characters"),
    "width": (_SIZE.fullmatch, "a number of pixels, or a percentage such as 50%"),
}
"""What each attribute may be, and that in words. None of them runs code or loads anything."""


def checked_attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    """Check the attributes, and return them.

    Args:
        attributes: values of 1 to 200 characters by their names.

    Raises:
        ValueError: if a name is not allowed, or its value is nothing that it may be; says which.
    """
    for name, value in attributes.items():
        if name not in _ALLOWED:
            raise ValueError(f"{name!r:.40} is not allowed; allowed are {', '.join(_ALLOWED)}")
        fits, words = _ALLOWED[name]
        if not (0 < len(value) <= MAX_VALUE and value.strip() and fits(value)):
            raise ValueError(
                f"{name} is {value!r:.80}; give it 1 to {MAX_VALUE} characters: {words}"
            )
    return dict(attributes)
