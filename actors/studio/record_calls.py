"""The studio's calls for what stands in texts, and to forget what is known of messages."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import pykka

from limner.actors.stores.protocol import (
    ForgettingStore,
    RegistryStore,
    Store,
    can_forget,
    keeps_registry,
)
from limner.actors.studio.client import SequencerClient
from limner.actors.studio.current_settings import CurrentSettings
from limner.actors.system import PooledFuture
from limner.messages.errors import MessageBusy, SettingsInvalid, UnknownPicture
from limner.messages.pictures import Placement
from limner.messages.session.control import ReportSessions, SessionRecord
from limner.messages.status import Forgotten
from limner.messages.text.placed_pictures import PlacedPicture, placed_pictures
from limner.messages.validation import owner_of
from limner.messages.writes.protocol import ForgetMessage

T = TypeVar("T")

MAX_URL = 4_000
"""Characters of an address that is looked up at most."""

_FILE = re.compile(r"([0-9a-f]{32})(?:\.[a-z]{3,4})?")


class RecordCalls:
    """The studio's calls for the pictures of texts as they stand, and for forgetting.

    They read the store on the thread that calls.

    Args:
        client: tells the sequencer.
        settings: of the studio, as they are in force.
        store: what keeps texts and registries.
    """

    def __init__(self, client: SequencerClient, settings: CurrentSettings, store: Store) -> None:
        self._client = client
        self._settings = settings
        self._store = store

    def placements(self, message_id: str) -> tuple[PlacedPicture, ...]:
        """Return the pictures that stand in a stored text, in its order, each with its position.

        Raises:
            UnknownMessage: if the id cannot be one. A message that the store has not has none.
            SettingsInvalid: if the store keeps no registry.
        """
        return self._placements(self._registry_store(), self._client.message_id(message_id))

    def placement_of(self, url: str) -> PlacedPicture:
        """Return the picture of a message by the address that its text has.

        If several messages or prompts have the picture, the newest that stands in a text is
        meant. An absolute address is that of the text if both end in the same file name.

        Args:
            url: the address, up to 4,000 characters. It ends in the file's name that Limner gave.

        Raises:
            UnknownPicture: if no known picture has this address.
            SettingsInvalid: if the store keeps no registry.
        """
        store = self._registry_store()
        name = _file_name(url)
        match = _FILE.fullmatch(name)
        found: list[PlacedPicture] = []
        for prompt in store.prompts_of(match[1]) if match is not None else ():
            links = {link.placement.id: link.placement for link in store.pictures_of(prompt.id)}
            placement = links.get(f"{prompt.id}:{match[1] if match is not None else ''}")
            if placement is not None and _file_name(placement.picture.url) == name:
                found.append(self._standing(store, prompt.message_id, placement))
        if not found:
            raise UnknownPicture(f"no picture has the address {url!r:.80}")
        exact = [picture for picture in found if _url(picture) == url] or found
        return next((picture for picture in exact if picture.start is not None), exact[-1])

    def forget(self, message_id: str) -> pykka.Future[Forgotten]:
        """Forget all that is known of a message: its prompts, their pictures and their history.

        The bytes of a picture are deleted if nothing else that the store knows has it. The text
        stays as it is: clean it, or delete it, yourself. What is asked for meanwhile waits.
        A call of the generator that was given up before may still come back with a picture; that
        is not kept (`generation_discarded`).

        Returns:
            A future of what was forgotten. It raises `MessageBusy` if the message has a session,
            or a write of it is under way, waits or is held; `StoreFailed` if the store fails.

        Raises:
            MessageBusy: if the message is being streamed.
            UnknownMessage: if the id cannot be one.
            SettingsInvalid: if the store cannot forget.
            StudioClosed: if the studio is closed.
        """
        self._forgetting_store()
        message_id = self._client.message_id(message_id)
        self._client.check_not_streamed(message_id, "it can be forgotten once it has ended")
        return self._forget(message_id)

    def forget_owner(self, owner: str) -> pykka.Future[tuple[Forgotten, ...]]:
        """Forget each message for which pictures were requested on an owner's behalf.

        All of such a message is forgotten, also what was requested on behalf of others.

        Returns:
            A future of what was forgotten, a value a message. If some cannot be forgotten, it
            raises why the first of them cannot; the others are forgotten.

        Raises:
            MessageBusy: if the owner has a session that has not ended; see `cancel_all`.
            SettingsInvalid: if `owner` cannot be one, or the store cannot forget.
            StudioClosed: if the studio is closed.
        """
        store, name = self._forgetting_store(), owner_of(owner)
        if name is None:
            raise SettingsInvalid("owner: name whose messages are to be forgotten")
        try:
            live: Sequence[SessionRecord] = self._client.sequencer.ask(ReportSessions())
        except pykka.ActorDeadError:
            raise self._client.closed() from None
        busy = [record.opening.message_id for record in live if record.opening.owner == name]
        if busy:
            raise MessageBusy(
                f"the owner has {len(busy)} session(s) that have not ended, one of message "
                f"{busy[0]!r}; wait for their end, or call studio.cancel_all(owner=...)"
            )
        futures = [self._forget(message_id) for message_id in store.messages_of(name)]
        return _all_of(futures, self._client.future("the forgetting of an owner"))

    def _forget(self, message_id: str) -> PooledFuture[Forgotten]:
        future: PooledFuture[Forgotten] = self._client.future(
            f"the forgetting of message {message_id!r}"
        )
        name = self._client.system.new_id()
        self._client.send(ForgetMessage(edit_id=name, message_id=message_id, future=future), future)
        return future

    def _placements(self, store: RegistryStore, message_id: str) -> tuple[PlacedPicture, ...]:
        loaded = store.load(message_id)
        if loaded is None:
            return ()
        registry = store.registry(message_id)
        return placed_pictures(message_id, loaded[0], registry, self._settings.now.notation)

    def _standing(
        self, store: RegistryStore, message_id: str, placement: Placement
    ) -> PlacedPicture:
        """Return a picture as it stands in its text; without a position if it does not."""
        for picture in self._placements(store, message_id):
            if picture.id == placement.id:
                return picture
        return PlacedPicture(
            message_id=message_id, id=placement.id, placement=placement, prompt=placement.prompt
        )

    def _registry_store(self) -> RegistryStore:
        if keeps_registry(self._store):
            return self._store
        raise SettingsInvalid(
            f"store: {type(self._store).__name__} keeps no registry of prompts and pictures, "
            "which this needs; give it the methods of limner.actors.stores.RegistryStore"
        )

    def _forgetting_store(self) -> ForgettingStore:
        self._registry_store()
        if can_forget(self._store):
            return self._store
        raise SettingsInvalid(
            f"store: {type(self._store).__name__} cannot forget; give it the methods `forget` and "
            "`messages_of` of limner.actors.stores.ForgettingStore"
        )


def _url(picture: PlacedPicture) -> str | None:
    return None if picture.placement is None else picture.placement.picture.url


def _file_name(url: object) -> str:
    """Return the last part of an address, which names the file; empty if it has none."""
    if not isinstance(url, str) or len(url) > MAX_URL:
        return ""
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return path.rpartition("/")[2].rpartition(":")[2]


def _all_of(
    futures: Sequence[PooledFuture[T]], whole: PooledFuture[tuple[T, ...]]
) -> PooledFuture[tuple[T, ...]]:
    """Set a future once all of some are done: to all values, or to the first exception."""

    def one_done() -> None:
        if not all(future.done for future in futures):
            return
        try:
            whole.set_if_pending(tuple(future.get(timeout=0) for future in futures))
        except Exception as error:  # noqa: BLE001  # it is whoever waits that it concerns
            whole.fail_if_pending(error)

    one_done()
    for future in futures:
        future.when_done(one_done)
    return whole
