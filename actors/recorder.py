"""The recorder: the event log.

Hears `Event` from everybody, `Subscribe` and `Unsubscribe` from the studio; tells nobody.
Started and ended by the root, last of all. If it fails, all sessions fail and the studio closes;
a disk that is full is no failure, but a gap that the log names.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from os import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson
import structlog

from limner.actors.base import LimnerActor
from limner.actors.event_log import EventLog
from limner.actors.system import Outlet
from limner.messages.errors import SettingsInvalid
from limner.messages.events.filters import EVERYTHING, EventFilter
from limner.messages.events.owners import NAMING_OWNERS, Owners
from limner.messages.events.protocol import Event, Subscribe, Unsubscribe
from limner.messages.events.record import may_begin_log
from limner.messages.unicode import wellformed

logger = logging.getLogger("limner")
Record = dict[str, Any]
FIRST_LINE = 2**20
"""Bytes of a file that are read to tell whether it is an event log."""
GATHER = 256
"""Lines that are written together at most."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class LogFile:
    """The end of an event log's file. Lines gather until they are committed together.

    Args:
        path: of the file; it is appended to, on a line of its own if the last one was cut.

    Raises:
        SettingsInvalid: if it cannot be opened, or holds something else than events.
    """

    def __init__(self, path: Path) -> None:
        self._lines: list[bytes] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
            if self._file.seek(0, SEEK_END):
                self._file.seek(0)
                if not may_begin_log(self._file.read(FIRST_LINE).partition(b"\n")[0]):
                    self._file.close()
                    raise SettingsInvalid(
                        f"events: {str(path)!r} holds something else than events, and is left as "
                        "it is; name another file"
                    )
                self._file.seek(-1, SEEK_END)
                if self._file.read(1) != b"\n":
                    self._lines.append(b"\n")
        except OSError as error:
            raise SettingsInvalid(
                f"events: cannot write to {str(path)!r}: {error.strerror or error}"
            ) from error

    def write(self, line: bytes) -> None:
        """Keep a line until the next commit."""
        self._lines.append(line)

    def flush(self) -> None:
        """Do nothing: a flush for each line is what gathering them avoids."""

    def commit(self) -> None:
        """Write what has gathered.

        Raises:
            OSError: if not all of it could be written; what was not is lost.
        """
        rest, self._lines = memoryview(b"".join(self._lines)), []
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError:
            self._lines.append(b"\n")  # whatever comes next is on a line of its own
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def to_json(record: Record) -> bytes:
    """Render a record as one JSON object."""
    try:
        return orjson.dumps(record, default=str)
    except TypeError:  # half a character, or a number of more than 64 bits
        return wellformed(json.dumps(record, default=str, ensure_ascii=False)).encode()


class RecorderActor(LimnerActor):
    """Numbers the events, writes them down, and passes them on.

    Args:
        log: the event log, which this is the other end of.
        file: where to write; nowhere if `None`.
        wall_start: wall time, in microseconds since 1970, when the clock was at zero.
    """

    role = "recorder"
    patient = True

    def __init__(self, log: EventLog, file: LogFile | None, wall_start: int) -> None:
        super().__init__(log)
        self.file = file
        # the end of structlog alone: binding and a chain of processors would cost twice the rest
        self.lines = structlog.BytesLogger(cast("BinaryIO", file))
        self.wall_start = wall_start
        self.second = -1
        self.date = ""
        self.seq = 0
        self.gathered_from = 1
        self.lost_from: int | None = None
        self.failing = False
        self.outlets: dict[Outlet[Record], EventFilter] = {}
        self.owners = Owners()

    def on_receive(self, message: object) -> Any:
        """Record an event."""
        match message:
            case Event():
                self.record(message)
            case Subscribe():
                self.owners.add(message.owners)
                self.outlets[message.outlet] = message.filter
            case Unsubscribe():
                self.outlets.pop(message.outlet, None)
            case _:
                return super().on_receive(message)
        if self.actor_inbox.empty() or self.seq - self.gathered_from >= GATHER:
            self.commit()
        return None

    def record(self, event: Event) -> None:
        """Number an event, write it, and pass it on."""
        if self.lost_from is not None:
            first, self.lost_from = self.lost_from, None
            self.gathered_from = first  # lost again if this cannot be written either
            lost = {"first": first, "last": self.seq}
            self.write(Event(t=event.t, actor="recorder", event="events_lost", fields=lost))
        self.write(event)

    def write(self, event: Event) -> None:
        """Write one event down, and pass it on."""
        self.seq += 1
        t = event.t
        record: Record = {
            "seq": self.seq,
            "t": t / 1_000_000,
            "at": self.wall_time(t),
            "actor": event.actor,
        }
        if event.session_id is not None:
            record["session_id"] = event.session_id
        if event.message_id is not None:
            record["message_id"] = event.message_id
        if event.task_id is not None:
            record["task_id"] = event.task_id
        record["event"] = event.event
        record.update(event.fields)
        if self.file is not None:
            self.lines.msg(to_json(record))
        if event.event in NAMING_OWNERS:
            self.owners.learn(record)
        for outlet, events in self.outlets.items():
            if events is EVERYTHING or events.passes(record, self.owners):
                outlet.put(dict(record))

    def wall_time(self, t: int) -> str:
        """Return date and time of day at a time of the clock, as ISO 8601."""
        second, micros = divmod(self.wall_start + t, 1_000_000)
        if second != self.second:
            self.second = second
            self.date = (EPOCH + timedelta(seconds=second)).isoformat()[:-6]
        return f"{self.date}.{micros:06}+00:00"

    def commit(self) -> None:
        """Write what has gathered to the file, or remember what is lost."""
        if self.file is None:
            return
        try:
            self.file.commit()
        except OSError as error:
            if not self.failing:  # a full disk is told once, and not at each event
                self.failing = True
                logger.warning("the event log cannot be written: %s", error)
            if self.lost_from is None and self.gathered_from <= self.seq:
                self.lost_from = self.gathered_from
        else:
            if self.failing and self.gathered_from <= self.seq:
                self.failing = False
                logger.warning("the event log is written again; it names what is lost of it")
        self.gathered_from = self.seq + 1

    def on_failure(self, *_: object) -> None:
        """Write what is left, though what comes after is lost."""
        self.on_stop()

    def on_stop(self) -> None:
        """Write what is left."""
        self.commit()
        if self.file is not None:
            self.file.close()


def lost(first: Record, last: Record, number: int) -> Record:
    """Return what a lagging subscriber gets in place of the events that it missed."""
    return {
        "event": "events_lost",
        "actor": "recorder",
        "first": first["seq"],
        "last": last["seq"],
        "number": number,
    }
