"""Chat files as other programs may spell them: every spelling that JSON has, drawn."""

import json
import re
from typing import NamedTuple

from hypothesis import strategies as st

from limner.messages.unicode import wellformed

SPACE = st.text(" \t", max_size=2)
TEXTS = st.text(max_size=12) | st.text('ab"\\/\n\t\0é😀<>-=', max_size=20)
_SHORT = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\n": "\\n", "\t": "\\t", "\b": "\\b"}
_NUMBERS = ["0", "-0", "1.0", "1e5", "1E+2", "-0.10", "12345678901234567890123", "9" * 5_000]


@st.composite
def spelled(draw: st.DrawFn, text: str) -> str:
    """Draw one of the spellings of a string in JSON; half characters are always escaped."""
    pieces = []
    for character in text:
        units = character.encode("utf-16-be", "surrogatepass").hex()
        escaped = "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
        ways = [escaped, escaped[:2] + escaped[2:].upper().replace("\\U", "\\u")]
        ways += [_SHORT[character]] if character in _SHORT else []
        plain = character not in '"\\' and character >= " " and not units.startswith("d")
        pieces.append(draw(st.sampled_from([character, *ways] if plain else ways)))
    return '"' + "".join(pieces) + '"'


def strings() -> st.SearchStrategy[str]:
    """Draw a string in JSON, some with half a character."""
    halves = st.text("a\ud83d\ude00é", max_size=4)
    return (TEXTS | halves).flatmap(spelled)


@st.composite
def _array(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    space = draw(SPACE)
    return "[" + space + f"{space},".join(draw(st.lists(values, max_size=3))) + space + "]"


@st.composite
def _object(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    space = draw(SPACE)
    pairs = draw(st.lists(st.tuples(strings(), values), max_size=3))
    inside = ",".join(f"{space}{key}{space}:{value}" for key, value in pairs)
    return "{" + inside + space + "}"


VALUES: st.SearchStrategy[str] = st.recursive(
    st.sampled_from(["true", "false", "null", *_NUMBERS]) | strings(),
    lambda values: _array(values) | _object(values),
    max_leaves=8,
)
_KEYS = st.sampled_from(["name", "extra", "mes", "swipe_info", "send_date", "", "é"]) | TEXTS


class Drawn(NamedTuple):
    """A line in pieces, between which the text stands, spelled in one way or another."""

    pieces: tuple[str, ...]
    raws: tuple[str, ...]
    text: str

    @property
    def line(self) -> str:
        between = (*self.raws, "")
        return "".join(piece + raw for piece, raw in zip(self.pieces, between, strict=True))

    def says(self, line: str, text: str) -> bool:
        """Return whether a line is this one with another text in the text's places."""
        string = r'("(?:[^"\\]|\\.)*")'
        found = re.fullmatch(string.join(map(re.escape, self.pieces)), line, re.DOTALL)
        return found is not None and all(
            wellformed(json.loads(one)) == text for one in found.groups()
        )


@st.composite
def messages(draw: st.DrawFn, speaker: str = "assistant") -> Drawn:
    """Draw a message's line, without its line end."""
    hole = "\0hole\0"
    text = draw(TEXTS | st.text("a\ud83d\ude00é", max_size=4))
    members: list[tuple[str, str]] = []
    for key, value in draw(st.lists(st.tuples(_KEYS, VALUES), max_size=5)):
        if key not in {"swipes", "swipe_id", "is_user", "is_system"}:
            members.append((key, value))
    late: list[tuple[str, str]] = [("mes", hole)]
    if speaker == "user" or draw(st.booleans()):
        late.append(
            (
                "is_user",
                "true" if speaker == "user" else draw(st.sampled_from(["false", "null", "0"])),
            )
        )
    if draw(st.booleans()):
        before, after = draw(st.lists(VALUES, max_size=2)), draw(st.lists(VALUES, max_size=2))
        number = len(before)
        chosen = draw(st.sampled_from([str(number), f"{number}.0", f"{number}e0"]))
        late += [("swipes", "[" + ", ".join([*before, hole, *after]) + "]"), ("swipe_id", chosen)]
    late = draw(st.permutations(late))
    at = draw(st.integers(0, len(members)))
    # what comes after ours has no key of ours, as the last of two counts
    keyed = members[:at] + late + [one for one in members[at:] if one[0] != "mes"]
    space = draw(SPACE)
    raw = ",".join(
        f"{space}{draw(spelled(key))}{space}:{space}{value}{space}" for key, value in keyed
    )
    pieces = tuple(f"{space}{{{raw}}}{space}".split(hole))
    raws = tuple(draw(spelled(text)) for _ in pieces[1:])
    return Drawn(pieces, raws, wellformed(json.loads(raws[0])))
