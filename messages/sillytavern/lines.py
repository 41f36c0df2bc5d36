"""The lines of a SillyTavern chat file, read and changed where they stand.

A chat file is JSON lines: a header, then one object a message. It belongs to another program, so a
line is never written anew from its values. The extents of the values that change are found, by the
scanner of Python's `json`, and all around them stays as it is: unknown fields, the order of keys,
keys that come twice (of which the last counts, as in JavaScript), spellings of numbers, escapes,
white space.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from limner.messages.base import Value
from limner.messages.sillytavern.json_strings import respelled, stringified
from limner.messages.unicode import wellformed

Speaker = Literal["assistant", "user", "system"]

# integers as floats: Python refuses to read one of more than 4,300 digits
_DECODER = json.JSONDecoder(parse_int=float)
_SPACE = re.compile(r"[ \t\r\n]*")
_START = re.compile(r"\ufeff?[ \t\r\n]*")


class BrokenLine(ValueError):
    """A line of a chat file is not what it has to be.

    Args:
        reason: what is wrong with it, as in `is not JSON`.
        remedy: what to do.
    """

    def __init__(self, reason: str, remedy: str = "repair it, or use a backup of the chat") -> None:
        super().__init__(f"{reason}; {remedy}")


class Found(NamedTuple):
    """A value and where it stands, `line[start:end]`. Its numbers are floats."""

    start: int
    end: int
    value: Any


class Member(NamedTuple):
    """A member of an object: what stands before its value, and that, as JSON."""

    before: str
    value: str


class SpelledObject(NamedTuple):
    """An object as it is spelled, in which values can be replaced without reading it again.

    Args:
        members: by key, in the order in which they stand. Of keys that come twice it is the last;
            those before it belong to what stands before a member.
        end: what stands after the last of them.
    """

    members: Mapping[str, Member]
    end: str

    @classmethod
    def read(cls, line: str, start: int, end: int) -> "SpelledObject":
        """Read an object of a line that begins and ends there; the end may be beyond it."""
        spelled, at = {}, start + 1
        found = members(line, start)
        for key, place in sorted(found.items(), key=lambda entry: entry[1].start):
            spelled[key] = Member(line[at : place.start], line[place.start : place.end])
            at = place.end
        return cls(spelled, line[at:end])

    def put(self, values: Mapping[str, str]) -> "SpelledObject":
        """Return the object with some members set, as JSON, by key; a new one comes last."""
        spelled = {**self.members}
        for key, value in values.items():
            if key in spelled:
                before = spelled[key].before
            else:
                before = ("," if spelled else "") + stringified(key) + ":"
            spelled[key] = Member(before, value)
        return SpelledObject(spelled, self.end)

    @property
    def text(self) -> str:
        """All of it."""
        pieces = (piece for member in self.members.values() for piece in member)
        return "".join(("{", *pieces, self.end))


class ChatMessage(Value):
    """A message of a chat file.

    Args:
        line: as it stands in the file, with its line end.
        text: what the message says, as UTF-8 can carry it.
        speaker: who says it; `system` is also what was hidden from the model.
        strings: where the text stands in the line: at `mes`, and in `swipes` where the swipe
            that is chosen is equal to it.
    """

    line: str
    text: str
    speaker: Speaker
    strings: tuple[tuple[int, int], ...]

    def rewritten(self, text: str) -> str:
        """Return the line with another text, which UTF-8 can carry; the rest of it is as it was."""
        line = self.line
        for start, end in sorted(self.strings, reverse=True):
            line = line[:start] + respelled(line[start:end], text) + line[end:]
        return line

    def other_swipes(self) -> list[str]:
        """Return the texts of the swipes that are not chosen."""
        fields = members(self.line)
        swipes, chosen = _swipes(fields), _chosen(fields)
        others = (swipe for number, swipe in enumerate(swipes) if number != chosen)
        return [wellformed(swipe) for swipe in others if isinstance(swipe, str)]


def read_message(line: str) -> ChatMessage:
    """Read a line that is a message.

    Raises:
        BrokenLine: if it is none.
    """
    fields = members(line)
    mes = fields.get("mes")
    if mes is None or not isinstance(mes.value, str):
        raise BrokenLine("is no message: its mes is " + ("no string" if mes else "missing"))
    strings = ((place.start, place.end) for place in (mes, *_chosen_swipe(line, fields, mes.value)))
    speaker: Speaker = "assistant"
    if _true(fields, "is_user"):
        speaker = "user"
    elif _true(fields, "is_system"):
        speaker = "system"
    return ChatMessage(
        line=line, text=wellformed(mes.value), speaker=speaker, strings=tuple(strings)
    )


def members(line: str, at: int | None = None) -> dict[str, Found]:
    """Return the members of an object by key; of keys that come twice, the last.

    Args:
        line: a line.
        at: where an object of it begins that was found; by default the line is one itself.

    Raises:
        BrokenLine: if the line is no object.
    """
    return dict(_entries(line, _whole(line) if at is None else at))


def put(line: str, path: Sequence[str], values: Mapping[str, str]) -> str:
    """Return a line with some members of an object set; the rest of it is as it was.

    Args:
        line: a line that is an object.
        path: the keys that lead to the object. What is missing of it is made; so is what is no
            object, in place of what stands there.
        values: what to set, as JSON, by key. A new one comes last.

    Raises:
        BrokenLine: if the line is no object.
    """
    at = _whole(line)
    for depth, key in enumerate(path):
        found = members(line, at).get(key)
        if found is None or not isinstance(found.value, dict):
            for missing in reversed(path[depth:]):
                values = {missing: _object(values)}
            break
        at = found.start
    return line[:at] + SpelledObject.read(line, at, len(line)).put(values).text


def _whole(line: str) -> int:
    """Return where the object of a line begins."""
    start = _START.match(line)
    at = start.end() if start else 0
    if at == len(line):
        raise BrokenLine("is blank")
    try:
        value, end = _DECODER.raw_decode(line, at)
    except json.JSONDecodeError as error:
        reason = (error.msg[:1].lower() + error.msg[1:]).removesuffix(" at")
        raise BrokenLine(f"is not JSON ({reason} at character {error.pos + 1})") from None
    except RecursionError:
        raise BrokenLine("is nested too deeply") from None
    if _past_space(line, end) < len(line):
        raise BrokenLine(f"is not JSON (more than one value at character {end + 1})")
    if not isinstance(value, dict):
        raise BrokenLine("is JSON but no object")
    return at


def _entries(line: str, at: int) -> Iterator[tuple[str, Found]]:
    """Yield the entries of the object or array that begins at `at`, which is known to be JSON."""
    keyed = line[at] == "{"
    at = _past_space(line, at + 1)
    while line[at] not in "]}":
        key = ""
        if keyed:
            key, at = _DECODER.raw_decode(line, at)
            at = _past_space(line, _past_space(line, at) + 1)
        value, end = _DECODER.raw_decode(line, at)
        yield key, Found(at, end, value)
        at = _past_space(line, end)
        if line[at] == ",":
            at = _past_space(line, at + 1)


def _past_space(line: str, at: int) -> int:
    found = _SPACE.match(line, at)
    return found.end() if found else at


def _true(fields: Mapping[str, Found], key: str) -> bool:
    return key in fields and bool(fields[key].value)


def _chosen_swipe(line: str, fields: Mapping[str, Found], text: str) -> Iterator[Found]:
    """Yield the chosen swipe, if it has this text."""
    chosen = _chosen(fields)
    if chosen is not None:
        _, swipe = list(_entries(line, fields["swipes"].start))[chosen]
        if swipe.value == text:
            yield swipe


def _swipes(fields: Mapping[str, Found]) -> Sequence[object]:
    swipes = fields["swipes"].value if "swipes" in fields else None
    return swipes if isinstance(swipes, list) else ()


def _chosen(fields: Mapping[str, Found]) -> int | None:
    chosen = fields["swipe_id"].value if "swipe_id" in fields else None
    if isinstance(chosen, float) and chosen in range(len(_swipes(fields))):
        return int(chosen)
    return None


def _object(values: Mapping[str, str]) -> str:
    return "{" + ",".join(f"{stringified(key)}:{value}" for key, value in values.items()) + "}"
