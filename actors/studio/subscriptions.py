"""What a host is told of events, each subscriber on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

import pykka

from limner.actors.event_log import EventLog
from limner.actors.recorder import Record, lost
from limner.actors.studio.client import SequencerClient
from limner.actors.system import Outlet, close_all
from limner.messages.events.filters import filter_of
from limner.messages.events.owners import SessionOwner
from limner.messages.events.protocol import Subscribe, Unsubscribe
from limner.messages.studio.protocol import ReportOwners


class Subscriptions:
    """The subscribers of a studio. Safe to use from any thread.

    Args:
        client: tells the sequencer, and whether the studio closes.
        log: the event log.
    """

    def __init__(self, client: SequencerClient, log: EventLog) -> None:
        self._client = client
        self._log = log
        self._lock = client.system.lock()
        self._outlets: dict[Outlet[Record], None] = {}

    def subscribe(
        self,
        callback: Callable[[Record], object],
        *,
        events: Iterable[str] | None = None,
        message_id: str | None = None,
        owner: str | None = None,
    ) -> Callable[[], None]:
        """Pass events on to a callback, from a thread of its own.

        One that raises is logged and called again for the next event; one that lags loses
        events, and is told how many by an `events_lost`, whatever it has subscribed to.

        Args:
            callback: called with one event, as the event log has it.
            events: names of events, as `limner events` prints them; all if `None`.
            message_id: of one message alone.
            owner: of one owner alone: the events of sessions, regenerations and calls that were
                opened for this owner, and of edits of messages whose last session was.

        Returns:
            A function that ends it.

        Raises:
            SettingsInvalid: if there is no event of a name, or if an owner cannot be one.
            UnknownMessage: if a message id cannot be one.
            StudioClosed: if the studio is closed.
        """
        client, recorder = self._client, self._log.recorder
        if message_id is not None:
            message_id = client.message_id(message_id)
        chosen = filter_of(events, message_id, owner)
        assert recorder is not None
        client.check_open()
        self._log.on = True  # first: whatever opens after the sequencer was asked is recorded
        owners = self._owners() if owner is not None else ()
        outlet = client.system.outlet(callback, lost=lost)
        with self._lock:
            if client.closing:
                outlet.close()
                raise client.closed()
            self._outlets[outlet] = None
            recorder.deliver(Subscribe(outlet=outlet, filter=chosen, owners=owners))

        def unsubscribe() -> None:
            with suppress(pykka.ActorDeadError):  # once it has passed on what it was told before
                recorder.ask(Unsubscribe(outlet=outlet))
            with self._lock:
                self._outlets.pop(outlet, None)
            outlet.close()

        return unsubscribe

    def close(self) -> None:
        """End them all, once they have been told of everything."""
        with self._lock:
            outlets, self._outlets = list(self._outlets), {}
        close_all(outlets)

    def _owners(self) -> tuple[SessionOwner, ...]:
        """Return for whom the live sessions are."""
        try:
            owners: tuple[SessionOwner, ...] = self._client.sequencer.ask(ReportOwners())
        except pykka.ActorDeadError:
            raise self._client.closed() from None
        return owners
