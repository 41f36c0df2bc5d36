"""Whether a file is a chat of SillyTavern, another JSON document, or a text."""

import json
import re
from typing import Literal

from limner.messages.sillytavern.lines import BrokenLine, members

FileKind = Literal["chat", "chat without header", "JSON lines", "JSON", "text"]

_DECODER = json.JSONDecoder(parse_int=float)  # Python refuses integers of very many digits
_START = re.compile(r"\ufeff?[ \t\r\n]*")
_LINE = re.compile(r"[^\r\n]*[^ \t\r\n][^\r\n]*")
_OF_A_HEADER = {"user_name", "character_name"}


def kind_of_first_line(line: str, *, named_jsonl: bool) -> FileKind:
    """Return what the first line of a file makes it; `text` if the line alone does not tell.

    Args:
        line: the line.
        named_jsonl: whether the file's name ends in `.jsonl`.
    """
    if not line[_past_space(line) :].startswith("{"):
        return "text"
    try:
        found = members(line)
    except BrokenLine:
        return "JSON lines" if named_jsonl else "text"
    if "chat_metadata" in found or (named_jsonl and _OF_A_HEADER & found.keys()):
        return "chat"
    if {"name", "mes", "is_user"} <= found.keys():
        return "chat without header"
    return "JSON lines" if named_jsonl else "text"


def kind_of_whole(text: str) -> FileKind:
    """Return whether a file that is no chat is a JSON document, JSON lines, or a text.

    A document is one object or array. JSON lines are two of these or more, each on a line; only the
    first two lines are read, so that lines that were cut short at the end of a file count.

    Args:
        text: all of it, or its beginning.
    """
    start = _past_space(text)
    if not text.startswith(("{", "["), start):
        return "text"
    if _is_container(text[start:]):
        return "JSON"
    first = _LINE.search(text, start)
    second = first and _LINE.search(text, first.end())
    if first and second and _is_container(first[0]) and _is_container(second[0]):
        return "JSON lines"
    return "text"


def _is_container(text: str) -> bool:
    """Return whether a text is one JSON object or array, and nothing else."""
    at = _past_space(text)
    if not text.startswith(("{", "["), at):
        return False
    try:
        _, end = _DECODER.raw_decode(text, at)
    except json.JSONDecodeError:
        return False
    except RecursionError:  # no text begins with that many brackets
        return True
    return not text[end:].strip(" \t\r\n")


def _past_space(text: str) -> int:
    found = _START.match(text)
    return found.end() if found else 0
