"""Making one picture: the part of a task that runs on a worker's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from limner.actors.generators.checking import check_picture
from limner.actors.generators.failures import FailureLog, called_wrongly
from limner.actors.generators.protocol import Generator
from limner.actors.stores.protocol import Store
from limner.actors.system import Call, Clock, Gate, Gates
from limner.messages.errors import GenerationFailed, SettingsInvalid, describe
from limner.messages.limiter.protocol import SlotGranted
from limner.messages.pictures import Picture, PictureBytes
from limner.messages.settings import Settings
from limner.messages.tasks import Task
from limner.messages.text.style_tags import styled

MARGIN = 20_000
"""Microseconds before the end of its lease in which a slot is not begun with any more."""


class SlotLapsed(Exception):
    """The slot expired before a thread was free to use it."""


class MessageForgotten(Exception):
    """The message was forgotten while its picture was generated."""


class Made(NamedTuple):
    """A picture that a generator has made.

    Args:
        picture: what it is; its URL is still empty.
        data: its bytes.
        at: when it was made, in microseconds of the system's clock.
    """

    picture: Picture
    data: bytes
    at: int


class Unkept(NamedTuple):
    """A picture that the store has not kept, and what it raised."""

    made: Made
    error: BaseException


def lane_of(generator: object) -> object:
    """Return the lane that a generator names for its calls.

    Raises:
        SettingsInvalid: if reading it raises.
    """
    try:
        return getattr(generator, "lane", "image")
    except Exception as error:
        raise SettingsInvalid(f"generator: its lane cannot be read: {describe(error)}") from error


class PictureMaker:
    """Generates, checks and keeps: a picture is safe before anybody is told of it.

    Args:
        generator: what makes pictures.
        store: where they are kept.
        clock: against which a slot expires.
        lane: the lane in which the calls of the generator stand.
        pool: the threads that they run on; `None` if neither they nor the store ever block.

    Attributes:
        kept_at: when the store has kept a picture last, in microseconds of the clock.
        gates: by message, what its pictures pass to be kept; forgetting a message closes the one
            that there is, so that a call from before cannot bring anything back.
    """

    def __init__(
        self,
        generator: Generator,
        store: Store,
        clock: Clock,
        *,
        lane: str,
        pool: str | None,
    ) -> None:
        self.generator = generator
        self.store = store
        self.clock = clock
        self.lane = lane
        self.pool = pool
        self.kept_at = -1
        self.gates = Gates()
        self.failures = FailureLog()

    def begin(
        self, task: Task, grant: SlotGranted, log_event: Callable[..., None], call: Call
    ) -> None:
        """Log that a task's picture is begun, on the slot that was granted for it.

        Raises:
            SlotLapsed: if the slot expired before.
            GenerationFailed: if the task was cancelled.
        """
        if self.clock.now >= grant.expires_at - MARGIN:
            raise SlotLapsed
        if call.is_set():
            raise GenerationFailed("it was cancelled before it began", retryable=False)
        log_event(
            "generation_started",
            task_id=task.id,
            slot_id=grant.slot_id,
            attempt=task.attempts,
            seed=task.seed,
        )

    def describe(self, picture: Picture) -> dict[str, str]:
        """Return what an event tells of a picture: how a text refers to it, and where it is."""
        told = {"url": picture.url, "media_type": picture.media_type}
        path_of = getattr(self.store, "picture_path", None)
        if path_of is not None:
            try:
                path = path_of(picture)
            except Exception:  # noqa: BLE001  # a host's store; the picture is kept all the same
                path = None
            if path is not None:
                told["path"] = str(path)
        return told

    def generate(self, task: Task, settings: Settings, call: Call) -> object:
        """Call the generator; log the traceback of what it raises, once a kind."""
        try:
            return self.generator.generate(in_style(task, settings), call)
        except Exception as error:
            if call.is_set() and isinstance(error, GenerationFailed):
                raise  # it was asked to stop
            wrong = called_wrongly(error, self.generator)
            self.failures.log(wrong or error, self.generator)
            if wrong is not None:
                raise wrong from error
            raise

    def make(self, task: Task, settings: Settings, gate: Gate, call: Call) -> Picture | Unkept:
        """Make the picture of a task, and keep it.

        From when it is made, `call.reached` is the `Made` picture.

        Args:
            task: whose picture.
            settings: of its session: the style, and the bounds of a picture.
            gate: of its message, since before the call.
            call: the call that this is.

        Returns:
            The picture with its URL; what was made, if the store has not kept it.

        Raises:
            GenerationFailed: if what the generator returned is no picture within bounds.
        """
        given: object = self.generate(task, settings, call)
        if not isinstance(given, PictureBytes):
            raise GenerationFailed(
                f"the generator gave {type(given).__name__}, not PictureBytes", retryable=False
            )
        picture = check_picture(
            given.data,
            max_bytes=settings.max_picture_bytes,
            max_pixels=settings.max_picture_pixels,
        )
        made = call.reached = Made(picture, given.data, self.clock.now)
        return self.keep(task, made, gate)

    def keep_again(self, task: Task, made: Made, gate: Gate, call: Call) -> Picture | Unkept:
        """Keep a picture that was made before; as `make` does."""
        call.reached = made
        return self.keep(task, made, gate)

    def keep(self, task: Task, made: Made, gate: Gate) -> Picture | Unkept:
        """Keep a picture that was made, and return it with its URL, or why it is not kept."""
        if not gate.enter():
            return Unkept(made, MessageForgotten("its message was forgotten"))
        try:
            return self.hand_over(task, made)
        finally:
            gate.leave()

    def hand_over(self, task: Task, made: Made) -> Picture | Unkept:
        """Keep a picture in the store."""
        try:
            kept: object = self.store.keep(task, made.data, made.picture)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the store may be any code
            return Unkept(made, error)
        if not isinstance(kept, Picture):
            gave = f"the store's keep gave {type(kept).__name__}, not a Picture"
            return Unkept(made, TypeError(gave))
        self.kept_at = self.clock.now
        return kept


def in_style(task: Task, settings: Settings) -> Task:
    """Return a task as the generator gets it: with the tags that all pictures have."""
    tags = settings.common_tags
    if not tags:
        return task
    return task.but(prompt=styled(task.prompt, tags, settings.common_tags_position))
