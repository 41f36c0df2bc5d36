"""The registry in the header of a chat file, under `chat_metadata["limner"]`.

    {"version": 1, "messages": {"LINE": {"prompts": …, "links": …, "claims": …}, …},
     "merged": ["JOURNAL", BYTES]}

`messages` holds a `Registry` for each message that has one; `merged` says up to where the journal
beside the file is in it. Whatever else stands there is not Limner's: it is kept as `replaced`. A
registry of one message that cannot be read is taken for an empty one, what names what cannot be is
passed over, and both are replaced by the next that is known of the message. A `LINE` that is no
number from 2 on names no message.
"""

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import NamedTuple

from pydantic import ValidationError

from limner.messages.base import Value
from limner.messages.chat_lines import BrokenLine, members, put
from limner.messages.pictures import Picture, Prompt
from limner.messages.registry import Link, Registry
from limner.messages.spelling import stringified
from limner.messages.tasks import Task
from limner.messages.wellformed import wellformed

VERSION = 1
"""Of what stands under `limner`. A later one reads the earlier ones."""

_WHERE = ("chat_metadata", "limner")
_OF_A_HEADER = ("chat_metadata", "user_name", "character_name")
_PLACEMENT = re.compile(r"[0-9a-f]{20}:[0-9a-f]{32}")
_PROMPT = re.compile(r"[0-9a-f]{20}")

LINE_NUMBER = re.compile(r"[2-9]|[1-9][0-9]{1,8}")
"""What names a message: line 1 is the header."""


class Merged(NamedTuple):
    """How much of a journal is in a header: its name, and bytes from its beginning."""

    journal: str
    size: int


class Row(Value):
    """One change that waits in a journal: a finished picture, or a prompt that was added."""

    task: Task | None = None
    picture: Picture | None = None
    prompt: Prompt | None = None

    @classmethod
    def kept(cls, task: Task, picture: Picture) -> "Row":
        """Give the row of a picture that is finished; of its task, what a registry asks for."""
        names = {"id", "session_id", "message_id", "prompt_id", "prompt", "ordinal"}
        return cls(task=Task(**task.model_dump(include=names)), picture=picture)

    @property
    def message_id(self) -> str:
        """The message that it is about."""
        of = self.task or self.prompt
        return of.message_id if of else ""


class Known:
    """What is known of all messages of a chat, and where to look it up.

    Args:
        header: the first line of the file.
        registries: those in it, by message id.
        waiting: those that a journal has changed since, as they are now.
        merged: what a header holds of the journal once they are in it.
    """

    def __init__(
        self,
        header: str,
        registries: Mapping[str, Registry],
        waiting: Mapping[str, Registry],
        merged: Merged | None,
    ) -> None:
        self.header = header
        self.waiting = waiting
        self.merged = merged
        self.registries = {**registries, **waiting}
        self.prompts: dict[str, Prompt] = {}
        self.links: dict[str, list[Link]] = {}
        self.of_picture: dict[str, list[Prompt]] = {}
        for registry in self.registries.values():
            for prompt in registry.prompts:
                self.prompts.setdefault(prompt.id, prompt)
            for link in registry.links:
                placement = link.placement
                self.links.setdefault(placement.prompt_id, []).append(link)
                if of := self.prompts.get(placement.prompt_id):
                    self.of_picture.setdefault(placement.picture.id, []).append(of)


def read_registries(header: str) -> tuple[dict[str, Registry], Merged | None]:
    """Give what the first line of a chat file says: a registry by message id, and what is merged.

    Raises:
        BrokenLine: if the line is no header, or of a newer Limner.
    """
    ours = _ours(header)
    if ours is None:
        return {}, None
    fields = members(header, ours)
    messages = members(header, fields["messages"].start) if "messages" in fields else {}
    registries = {
        message_id: _registry(message_id, header[found.start : found.end])
        for message_id, found in messages.items()
        if LINE_NUMBER.fullmatch(message_id)
    }
    match fields["merged"].value if "merged" in fields else None:
        case [str(journal), float(size)] if size.is_integer():
            return registries, Merged(journal, int(size))
    return registries, None


def with_registries(header: str, changed: Mapping[str, Registry], merged: Merged | None) -> str:
    """Give a header with some registries replaced; all else in it stays as it was.

    Args:
        header: one that `read_registries` reads.
        changed: registries by message id.
        merged: what they hold of a journal; `None` leaves what is said of that.
    """
    if not changed and merged is None:
        return header
    values = {"version": str(VERSION)}
    if _ours(header) is None:
        place = members(header).get(_WHERE[0])
        if place is not None and place.value is not None:
            stranger = members(header, place.start).get(_WHERE[1])
            if stranger is not None:
                values["replaced"] = header[stranger.start : stranger.end]
        header = put(header, _WHERE[:1], {_WHERE[1]: "{}"})
        header = put(header, _WHERE, values)
    raw = {
        message_id: wellformed(stringified(registry.model_dump(exclude_defaults=True)))
        for message_id, registry in changed.items()
    }
    header = put(header, (*_WHERE, "messages"), raw)
    return put(header, _WHERE, {"merged": stringified(merged)}) if merged else header


def replayed(registries: Mapping[str, Registry], rows: Iterable[Row]) -> dict[str, Registry]:
    """Give the registries that rows of a journal have changed, as they are after them."""
    by_message: dict[str, list[Row]] = {}
    for row in rows:
        by_message.setdefault(row.message_id, []).append(row)
    changed = {}
    for message_id, waiting in by_message.items():
        registry = registries.get(message_id, Registry())
        for _, run in groupby(waiting, lambda row: row.prompt is None):
            alike = list(run)
            registry = registry.add(*(row.prompt for row in alike if row.prompt))
            registry = registry.keep_all(
                (row.task, row.picture) for row in alike if row.task and row.picture
            )
        changed[message_id] = registry
    return changed


def _ours(header: str) -> int | None:
    """Give where Limner's object in a header begins; `None` if there is none."""
    fields = members(header)
    if not any(name in fields for name in _OF_A_HEADER):
        raise BrokenLine("is no header of a chat: it has no chat_metadata")
    place = fields.get(_WHERE[0])
    if place is None or place.value is None:
        return None
    if not isinstance(place.value, dict):
        raise BrokenLine("has a chat_metadata that is no object")
    match place.value.get(_WHERE[1]):
        case {"version": float(version), **rest} if isinstance(rest.get("messages", {}), dict):
            if version > VERSION:
                raise BrokenLine(f"is of a newer Limner (version {version:g})", "upgrade Limner")
            if version == VERSION:
                return members(header, place.start)[_WHERE[1]].start
    return None


def _registry(message_id: str, raw: str) -> Registry:
    """Read a registry, without what Limner could not have named.

    Chat files are passed from hand to hand, and an id that cannot be stops the writing of its text.
    """
    try:
        found = Registry.model_validate_json(raw)
    except (ValidationError, UnicodeEncodeError):
        return Registry()
    return found.but(
        prompts=tuple(
            one
            for one in found.prompts
            if one.message_id == message_id
            and _PROMPT.fullmatch(one.id)
            and (one.parent_id is None or _PROMPT.fullmatch(one.parent_id))
        ),
        links=tuple(one for one in found.links if _PLACEMENT.fullmatch(one.placement.id)),
        claims=tuple(one for one in found.claims if _PROMPT.fullmatch(one.prompt_id)),
    )
