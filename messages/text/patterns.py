"""The patterns of prompt tags: what each begins and ends with, or why it cannot be used."""

import re
from dataclasses import dataclass, field
from functools import lru_cache

import regex

from limner.messages.errors import SettingsInvalid

DEFAULT_PATTERNS: tuple[str, ...] = (
    r'<!--img-prompt="([^"\\]*(?:\\[\s\S][^"\\]*)*)"\s*-->',
    r'<img-prompt="([^"\\]*(?:\\[\s\S][^"\\]*)*)"\s*>',
    r'<img_prompt="([^"\\]*(?:\\[\s\S][^"\\]*)*)"\s*>',
)
"""A comment and two tags. Within the quotes, `\\"` is a quote, and there may be line ends; before
the end there may be white space."""

MAX_SOURCE = 1_000
"""Characters of one pattern."""

MAX_WRITTEN_OUT = 10_000
"""Characters of one pattern with each part written out as often as it has to match at least."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of prompt tags, ready to scan with.

    Args:
        source: the regular expression, as it was given.
        compiled: what it compiles to.
        opener: the longest literal text that every match begins with.
        closer: the longest literal text that every match ends with.
        plain: whether a match depends on nothing that comes after it, and every way to match is
            tried. Then one match against the whole text is as good as one for each possible end.
    """

    source: str
    compiled: "regex.Pattern[str]" = field(repr=False)
    opener: str
    closer: str
    plain: bool


@lru_cache(maxsize=256)
def compile_patterns(sources: tuple[str, ...]) -> tuple[Pattern, ...]:
    """Compile patterns of prompt tags for scanning.

    Args:
        sources: regular expressions as the `regex` module reads them, of 1 to 1,000 characters.
            Each has a capturing group for the prompt, and begins and ends with literal text.
            A tag is matched as a string of its own, so a pattern may not look at the text around
            the tag. The match may not depend on where the text was split into chunks.

    Raises:
        SettingsInvalid: if a pattern cannot be used; names it, the reason, and what to change.
    """
    return tuple(_compile(source) for source in sources)


def _compile(source: str) -> Pattern:
    try:
        return _read(source)
    except _Unusable as unusable:
        shown = source if len(source) <= 80 else source[:77] + "..."
        raise SettingsInvalid(f"pattern {shown!r} {unusable}") from unusable


def _read(source: str) -> Pattern:
    if not 0 < len(source) <= MAX_SOURCE:
        raise _Unusable(f"has {len(source):,} characters; give it 1 to {MAX_SOURCE:,}")
    if literal := _JAVASCRIPT.fullmatch(source):
        raise _Unusable(_without_slashes(literal["pattern"], literal["flags"].lower()))
    if (size := _written_out(source)) > MAX_WRITTEN_OUT:
        raise _Unusable(
            f"repeats its parts to {'more than ' * (size == _MANY)}{size:,} characters at least; "
            f"lower its counts in braces to {MAX_WRITTEN_OUT:,} in all, the nested ones multiplied"
        )
    try:
        compiled = regex.compile(source, regex.VERSION0)
    except (regex.error, ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise _Unusable(f"is no regular expression ({error}); correct it") from error
    opener, closer, plain = _literals(source)
    if not compiled.groups:
        raise _Unusable("has no group; put parentheses around the part that is the prompt")
    return Pattern(source, compiled, opener, closer, plain)


_JAVASCRIPT = re.compile(r"\s*/(?P<pattern>.+)/(?P<flags>[dgimsuvyDGIMSUVY]{0,8})\s*", re.DOTALL)
"""A regular expression as JavaScript writes it."""


def _without_slashes(pattern: str, flags: str) -> str:
    """Return what is wrong with a pattern between slashes, and what to write in place of it."""
    shown = pattern if len(pattern) <= 80 else pattern[:77] + "..."
    kept = "".join(flag for flag in "ims" if flag in flags)
    how = f", and the part that {kept!r} is for as (?{kept}:...)" if kept else ""
    return (
        f"stands between slashes, as in JavaScript; write {shown!r}{how} "
        "(or \\/ for a slash with which every tag begins)"
    )


class _Unusable(Exception):
    """Why a pattern cannot be used, and what to change."""


# Where this and `regex` could differ, this finds a shorter literal, never a longer one.
_TOKEN = re.compile(
    r"""
      (?P<edge>       \\[ABbGKMmRXZz] | [\^$] )
    | (?P<reference>  \\g(?:<\w*>)? | \\[1-9]\d{0,2} | \(\?P=\w+\) )
    | (?P<escape>     \\(?: [pP](?:\{[^}]*\}|.) | N(?:\{[^}]*\})? | x.{2} | u.{4} | U.{8}
                          | 0[0-7]{0,2} | [A-Za-z] ) )
    | (?P<escaped>    \\. )
    | (?P<set>        \[\^? (?: \\. | \[:\^?[\w\ =&.-]+:\] | . )
                            (?: \\. | \[:\^?[\w\ =&.-]+:\] | [^]\\] )* \] )
    | (?P<look>       \(\?<?[=!] | \(\?> )
    | (?P<flags>      \(\?(?!R\))[A-Za-z][A-Za-z0-9-]*\) )
    | (?P<odd>        \(\? (?! : | P?<\w | -?[ims]+(?:-[ims]+)?: ) | \(\*[A-Za-z] )
    | (?P<group>      \( (?: \?: | \?P?<\w+> | \?[ims-]+: )? )
    | (?P<end>        \) )
    | (?P<either>     \| )
    | (?P<any>        \. )
    | (?P<fuzzy>      \{ [eids0-9<=+,]* [eids] [eids0-9<=+,]* [:}] )
    | (?P<repeat>     (?: [*+?] | \{\d+(?:,\d*)?\} | \{,\d*\} ) (?P<keep>[?+])? )
    | (?P<literal>    . )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = {r"\n": "\n", r"\t": "\t"}
_CUT = "which cannot be told while the text is still coming in"


_MANY = 10**12
"""Where counting ends."""
_LEAST = re.compile(r"\{(\d+)")


def _written_out(source: str) -> int:
    """Return the size of a pattern whose parts are written out as often as they match at least.

    `regex` compiles `(?:a{1000}){1000}` to a million parts, which takes 280 MB. So this is counted
    before a pattern is compiled, for a source that may be no regular expression at all.
    """
    sizes, last = [0], 0
    for token in _TOKEN.finditer(source):
        match token.lastgroup:
            case "group" | "look" | "odd":
                sizes.append(0)
                continue
            case "end" if len(sizes) > 1:
                last = sizes.pop() or 1
            case "repeat":
                counted = _LEAST.match(token[0])
                times = int(counted[1][:13]) if counted else 1
                sizes[-1] += last * (times - 1) if times > 1 else 0
                last *= max(1, times)
            case _:
                last = 1
        if token.lastgroup != "repeat":
            sizes[-1] += last
        sizes[-1] = min(sizes[-1], _MANY)
        last = min(last, _MANY)
    return min(sum(sizes), _MANY)


def _literals(source: str) -> tuple[str, str, bool]:
    """Return the literals that a pattern begins and ends with, and whether it is plain.

    Raises:
        _Unusable: if the pattern cannot be used.
    """
    top: list[str] = []  # outside of all groups: a literal character, or "" for what varies
    depth, plain = 0, True
    for token in _TOKEN.finditer(source):
        kind, text = token.lastgroup, token[0]
        literal = ""
        match kind:
            case "edge":
                raise _Unusable(f"asks with {text} for what stands around, {_CUT}; take it out")
            case "flags":
                raise _Unusable(f"has {text}; put the part that it is for in {text[:-1]}:...)")
            case "odd":
                raise _Unusable(
                    f"has {source[token.start() : token.end() + 2]}, {_CUT}; take it out"
                )
            case "fuzzy":
                raise _Unusable(f"matches roughly, with {text}, {_CUT}; write \\{{ for a brace")
            case "either" if not depth:
                raise _Unusable("has a | outside of any group; give it as two patterns")
            case "end":
                depth -= 1
            case "group" | "look":
                plain &= kind == "group"
                depth += 1
                continue
            case "repeat":
                plain &= token["keep"] != "+"
                if not depth:
                    top[-1] = ""
                continue
            case "literal":
                literal = text
            case "escaped":
                literal = text[1:]
            case "escape":
                literal = _ESCAPED.get(text, "")
        if not depth:
            top.append(literal)
    if not (top[0] and top[-1]):
        where = "end" if top[0] else "begin"
        raise _Unusable(
            f"does not {where} with a literal character, by which a tag is found; "
            f"{where} it with text that every tag {where}s with"
        )
    if "" not in top:
        return source, source, plain  # without a group, which is refused
    varies = top.index(""), len(top) - top[::-1].index("")
    return "".join(top[: varies[0]]), "".join(top[varies[1] :]), plain
