"""The registry in the header of a chat file, under `chat_metadata["limner"]`.

    {"version": 1, "messages": {"LINE": {"prompts": …, "links": …, "claims": …}, …},
     "merged": ["JOURNAL", BYTES]}

`messages` holds a `Registry` for each message that has one. `merged` says which part of the journal
beside the file is in it already. Anything else that stands under `limner` is not Limner's, and is
kept as `replaced`. A registry that cannot be read counts as empty, and entries with impossible ids
are skipped; the next write of that message replaces both. A `LINE` that is no number from 2 on
names no message.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from pydantic import ValidationError

from limner.messages.base import Value
from limner.messages.pictures import Picture
from limner.messages.prompts import Prompt
from limner.messages.registry import Link, Registry
from limner.messages.sillytavern.json_strings import stringified
from limner.messages.sillytavern.lines import BrokenLine, Found, SpelledObject, members, put
from limner.messages.tasks import Task
from limner.messages.text.marks import names_failure
from limner.messages.unicode import wellformed

VERSION = 1
"""Of what stands under `limner`. A later one reads the earlier ones."""

_WHERE = ("chat_metadata", "limner")
_OF_A_HEADER = ("chat_metadata", "user_name", "character_name")
_OF_A_MESSAGE = {"name", "mes", "is_user"}
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
        """Return the row of a finished picture, with what a registry needs of its task."""
        names = {"id", "session_id", "message_id", "prompt_id", "prompt", "ordinal", "owner"}
        return cls(task=Task(**task.model_dump(include=names)), picture=picture)

    @property
    def message_id(self) -> str:
        """The message that it is about."""
        of = self.task or self.prompt
        return of.message_id if of else ""


class _Parts(NamedTuple):
    """A header as it is spelled: Limner's object, the messages in it, and what stands around it."""

    before: str
    ours: SpelledObject
    after: str
    messages: SpelledObject
    merged: Merged | None


class Header(Mapping[str, Registry]):
    """The first line of a chat: what it says of its messages, a registry by message id.

    It is read once, and a registry in it when that is asked for. `but` gives the next one, which is
    not read again but for what has changed.

    Args:
        line: the line.
        parts: its parts, if they are known.
        read: registries that were read from it already.

    Raises:
        BrokenLine: if the line is no header, or of a newer Limner.
    """

    def __init__(
        self, line: str, parts: _Parts | None = None, read: Mapping[str, Registry] | None = None
    ) -> None:
        self.line = line
        self._parts = parts or _parts(line)
        self._read = dict(read or {})

    @property
    def merged(self) -> Merged | None:
        """What it holds of a journal."""
        return self._parts and self._parts.merged

    def __getitem__(self, message_id: str) -> Registry:
        """Return the registry of a message."""
        if message_id not in self._read:
            if self._parts is None or not LINE_NUMBER.fullmatch(message_id):
                raise KeyError(message_id)
            raw = self._parts.messages.members[message_id].value
            self._read[message_id] = _registry(message_id, raw)
        return self._read[message_id]

    def __iter__(self) -> Iterator[str]:
        """Yield the ids of the messages."""
        return filter(LINE_NUMBER.fullmatch, self._parts.messages.members if self._parts else ())

    def __len__(self) -> int:
        """Return how many messages have a registry."""
        return sum(1 for _ in self)

    def but(self, changed: Mapping[str, Registry], merged: Merged | None) -> "Header":
        """Return the header with some registries replaced; all else in it stays as it was.

        Args:
            changed: registries by message id.
            merged: what they hold of a journal; `None` leaves what is said of that.
        """
        if not changed and merged is None:
            return self
        parts = self._parts or _parts(_with_ours(self.line))
        assert parts is not None
        messages = parts.messages.put(
            {
                message_id: wellformed(stringified(registry.model_dump(exclude_defaults=True)))
                for message_id, registry in changed.items()
            }
        )
        values = {"messages": messages.text}
        if merged is not None:
            values["merged"] = stringified(merged)
        ours = parts.ours.put(values)
        return Header(
            f"{parts.before}{ours.text}{parts.after}",
            _Parts(parts.before, ours, parts.after, messages, merged or parts.merged),
            {name: one for name, one in self._read.items() if name not in changed},
        )


class Known:
    """The registries of all messages of a chat, and look-ups over them.

    Args:
        header: the first line of the file.
        waiting: the registries that a journal has changed since, as they are now.
        merged: what a header holds of the journal once they are in it.
    """

    def __init__(
        self, header: Header, waiting: Mapping[str, Registry], merged: Merged | None
    ) -> None:
        self.header = header
        self.waiting = waiting
        self.merged = merged

    def registry(self, message_id: str) -> Registry:
        """Return the registry of a message; an empty `Registry` if nothing is known of it."""
        found = self.waiting.get(message_id)
        return self.header.get(message_id, Registry()) if found is None else found

    def messages_of(self, owner: str) -> list[str]:
        """Return the ids of the messages of which an owner is known, by the owner's id."""
        names = {**self.header, **self.waiting}
        return [name for name in names if owner in self.registry(name).owners]

    def pictures_beside(self, message_id: str) -> set[str]:
        """Return the ids of the pictures of all other messages."""
        names = {**self.header, **self.waiting}.keys() - {message_id}
        return {link.placement.picture.id for name in names for link in self.registry(name).links}

    @cached_property
    def prompts(self) -> Mapping[str, Prompt]:
        """The prompts of all messages, by their ids."""
        prompts: dict[str, Prompt] = {}
        for registry in self._registries:
            for prompt in registry.prompts:
                prompts.setdefault(prompt.id, prompt)
        return prompts

    @cached_property
    def links(self) -> Mapping[str, Sequence[Link]]:
        """The pictures of all prompts, oldest first, by the prompts' ids."""
        links: dict[str, list[Link]] = {}
        for registry in self._registries:
            for link in registry.links:
                links.setdefault(link.placement.prompt_id, []).append(link)
        return links

    @cached_property
    def of_picture(self) -> Mapping[str, Sequence[Prompt]]:
        """The prompts of all pictures, by the pictures' ids."""
        prompts: dict[str, list[Prompt]] = {}
        for registry in self._registries:
            for link in registry.links:
                if of := self.prompts.get(link.placement.prompt_id):
                    prompts.setdefault(link.placement.picture.id, []).append(of)
        return prompts

    @cached_property
    def _registries(self) -> Sequence[Registry]:
        return [self.registry(message_id) for message_id in {**self.header, **self.waiting}]


def read_registries(header: str) -> tuple[Mapping[str, Registry], Merged | None]:
    """Read the first line of a chat file: the registries by message id, and what is merged.

    Raises:
        BrokenLine: if the line is no header, or of a newer Limner.
    """
    read = Header(header)
    return read, read.merged


def with_registries(header: str, changed: Mapping[str, Registry], merged: Merged | None) -> str:
    """Return a header with some registries replaced, as `Header.but` does."""
    return Header(header).but(changed, merged).line


def replayed(registries: Mapping[str, Registry], rows: Iterable[Row]) -> dict[str, Registry]:
    """Return the registries that the rows of a journal change, as they are after these rows."""
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


def _with_ours(header: str) -> str:
    """Return a header that has no object of Limner's with one in it."""
    values = {"version": str(VERSION)}
    place = members(header).get(_WHERE[0])
    if place is not None and place.value is not None:
        stranger = members(header, place.start).get(_WHERE[1])
        if stranger is not None:
            values["replaced"] = header[stranger.start : stranger.end]
    header = put(header, _WHERE[:1], {_WHERE[1]: "{}"})
    return put(header, _WHERE, values)


def _parts(header: str) -> _Parts | None:
    """Split a header into its parts; `None` if it has no object of Limner's."""
    found = _ours(header)
    if found is None:
        return None
    fields = members(header, found.start)
    messages, merged = SpelledObject({}, "}"), None
    if one := fields.get("messages"):
        messages = SpelledObject.read(header, one.start, one.end)
    match fields["merged"].value if "merged" in fields else None:
        case [str(journal), float(size)] if size.is_integer():
            merged = Merged(journal, int(size))
    ours = SpelledObject.read(header, found.start, found.end)
    return _Parts(header[: found.start], ours, header[found.end :], messages, merged)


def _ours(header: str) -> Found | None:
    """Return where Limner's object stands in a header; `None` if there is none."""
    fields = members(header)
    if fields.keys() >= _OF_A_MESSAGE and "chat_metadata" not in fields:
        raise BrokenLine(
            "is a message and no header, as in a group's chat that was saved once",
            "save the chat in a newer SillyTavern, which adds one",
        )
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
                return members(header, place.start)[_WHERE[1]]
    return None


def _registry(message_id: str, raw: str) -> Registry:
    """Read a registry, without what Limner could not have named.

    People share chat files, and an impossible id would make the write of its text fail.
    """
    try:
        found = Registry.model_validate_json(raw)
    except (ValidationError, UnicodeEncodeError):
        return Registry()
    return found.but(
        prompts=tuple(
            prompt
            for prompt in found.prompts
            if prompt.message_id == message_id
            and _PROMPT.fullmatch(prompt.id)
            and (prompt.parent_id is None or _PROMPT.fullmatch(prompt.parent_id))
        ),
        links=tuple(link for link in found.links if _PLACEMENT.fullmatch(link.placement.id)),
        claims=tuple(owner for owner in found.claims if _PROMPT.fullmatch(owner.prompt_id)),
        owners=tuple(owner for owner in found.owners if _PROMPT.fullmatch(owner)),
        failures=tuple(failed for failed in found.failures if names_failure(failed.id)),
    )
