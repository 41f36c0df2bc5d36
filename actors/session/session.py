"""The session of a stream: the life of one message, from its opening to its write.

Started by the sequencer, one for a message at a time. Starts the writer, the processor and the
monitor. Hears `SessionSealed` from the monitor, and what every session hears; see `lifecycle`.
"""

from __future__ import annotations

from typing import Any

from limner.actors.session.lifecycle import SessionLifecycle
from limner.actors.session.monitor import MonitorActor
from limner.messages.session.control import SetPriority
from limner.messages.session.lifecycle import DeadlinePassed, OpenStream
from limner.messages.session.streaming import SessionSealed
from limner.messages.session.writing import MessageLoaded


class SessionActor(SessionLifecycle):
    """Brings one streamed message from its opening to its end."""

    opening: OpenStream

    @property
    def sealed(self) -> bool:
        """Whether no more text comes."""
        ended: bool = self.opening.stream.ended
        return ended

    def set_priority(self, message: SetPriority) -> None:
        """Set another priority of the session, and of all its prompts.

        The monitor tells the processor, after the prompts that it has found before.
        """
        self.opening = self.opening.but(priority=message.priority)
        self.monitor.tell(message)

    def on_start(self) -> None:
        """Start writer, processor and monitor, and read what the store holds."""
        self.start_writer()
        self.start_processor(outcomes_to=self.writer)
        self.start_monitor()
        self.read_store(self.load)

    def on_receive(self, message: object) -> Any:
        """Handle one message."""
        match message:
            case SessionSealed():
                self.start_deadline()
            case DeadlinePassed():
                self.pass_deadline(message)
            case _:
                return super().on_receive(message)
        return None

    def start_monitor(self) -> None:
        """Start the actor that watches the text."""
        self.children += 1
        self.opening.stream.processor = self.processor
        self.monitor = MonitorActor.start(
            self.context,
            self.opening,
            session=self.actor_ref,
            processor=self.processor,
            writer=self.writer,
        )

    def load(self) -> MessageLoaded:
        """Read what the store holds. Runs on a worker's thread."""
        store = self.context.store
        loaded = store.load(self.message_id)
        return MessageLoaded(
            version=None if loaded is None else loaded[1],
            kept=dict(store.kept(self.message_id)),
        )

    def loaded(self, value: MessageLoaded) -> None:
        """Tell processor and writer what the store held."""
        self.processor.tell(value)
        self.writer.tell(value)

    def end_input(self, why: str) -> None:
        """Stop taking text."""
        self.opening.stream.end(why)
        self.monitor.end()
