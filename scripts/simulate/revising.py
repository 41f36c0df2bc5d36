"""People who revise a written message: other pictures, other texts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from limner.actors import PooledActor, RequestFuture
from limner.messages.errors import LimnerError, MessageBusy, SessionCancelled, StudioClosed
from limner.messages.picture_requests import AgainMode, Mode
from limner.messages.pictures import Illustrated
from limner.messages.text.marks import find_marks
from limner.scripts.simulate.draws import whole

if TYPE_CHECKING:
    import pykka

    from limner.scripts.simulate.world import World

KINDS = (
    *("regenerate",) * 4,
    *("take back",) * 2,
    *("again", "retry", "apply", "remove", "edit", "reconcile", "strip", "clear"),
)

MODES: tuple[Mode | AgainMode, ...] = (*get_args(Mode), *get_args(AgainMode))


class Settled(NamedTuple):
    """The future of a request is done."""

    future: pykka.Future[Any]


class RevisingActor(PooledActor):
    """Plays a person who revises a written message.

    Started by the message's host; stops once all its requests are done.

    Args:
        world: shared by all hosts.
        message_id: whose text is changed.
    """

    def __init__(self, world: World, message_id: str) -> None:
        super().__init__()
        self.world = world
        self.message_id = message_id
        self.draw = world.draws("revising")
        self.details = world.draws("details of revisions")
        self.left = world.params.scenario.revisions.times.draw_whole(self.draw)
        self.open = 0
        self.requests: list[RequestFuture[Any]] = []
        self.taken_back: dict[pykka.Future[Any], RequestFuture[Any]] = {}

    def on_start(self) -> None:
        """Schedule the first request."""
        self.schedule_next()

    def on_receive(self, message: object) -> Any:
        """Make a request, or check the result of one."""
        match message:
            case "next":
                self.left -= 1
                try:
                    self.request(KINDS[int(self.draw() * len(KINDS))])
                except (MessageBusy, StudioClosed):
                    self.world.count("requests refused")
                self.schedule_next()
            case Settled():
                self.open -= 1
                self.check_result(message.future)
            case _:
                return super().on_receive(message)
        if not self.left and not self.open:
            self.stop()
        return None

    def schedule_next(self) -> None:
        """Schedule the next request, if any is left."""
        if self.left:
            pause = self.world.params.scenario.revisions.pause.draw(self.draw)
            self.system.clock.after(pause, self.actor_ref, "next")
        elif not self.open:
            self.stop()

    def request(self, kind: str) -> None:
        """Make a request of a kind, if the text has what it needs."""
        studio, name = self.world.studio, self.message_id
        text = self.world.store.inner.texts.get(name, "")
        marks = find_marks(text)
        placements = [found.id for found in marks if found.kind == "picture"]
        failures = [found.id for found in marks if found.kind == "failure"]
        placement = placements[int(self.draw() * len(placements))] if placements else None
        listener = self.world.picture_callbacks.listener()
        match kind:
            case "regenerate" if placement is not None:
                mode = MODES[int(self.draw() * len(MODES))]
                prompt = f"refined {whole(self.draw, 1, 9)}" if self.draw() < 0.3 else None
                self.wait_for_request(
                    studio.regenerate(
                        name, placement, mode=mode, prompt=prompt, on_picture=listener
                    )
                )
            case "again":
                mode = MODES[int(self.draw() * len(MODES))]
                self.wait_for_request(studio.illustrate_again(name, mode, on_picture=listener))
            case "retry":
                failure = failures[0] if failures and self.details() < 0.5 else None
                self.wait_for_request(studio.retry(name, failure, on_picture=listener))
            case "take back" if self.requests:
                request = self.requests[int(self.draw() * len(self.requests))]
                reply = request.cancel()
                self.taken_back[reply] = request
                self.wait_for(reply)
            case "apply":
                self.wait_for(studio.apply(name))
            case "remove" if placement is not None:
                self.wait_for(studio.remove(name, placement))
            case "edit":
                timeout = 60 * self.details() if self.details() < 0.3 else None
                self.wait_for(studio.edit(name, lambda text: text + " (edited)", timeout=timeout))
            case "reconcile":
                timeout = 60 * self.details() if self.details() < 0.3 else None
                self.wait_for(studio.reconcile(name, timeout=timeout))
            case "strip" if placement is not None:
                first = marks[0]
                self.world.store.put(name, text[: first.start] + text[first.end :])
            case "clear" if self.draw() < 0.3:
                studio.clear(name)

    def wait_for_request(self, future: RequestFuture[Any]) -> None:
        """Wait for a future whose request may be taken back."""
        self.requests.append(future)
        self.wait_for(future)

    def wait_for(self, future: pykka.Future[Any]) -> None:
        """Wait for a future to be done."""
        self.open += 1
        when_done: Any = future
        when_done.when_done(partial(self.actor_ref.deliver, Settled(future)))

    def check_result(self, future: pykka.Future[Any]) -> None:
        """Count the result of a request; report an unexpected one."""
        try:
            result = future.get(timeout=0)
        except BaseException as error:  # noqa: BLE001  # checked below
            result = error
        if isinstance(result, bool):
            self.check_taken_back(self.taken_back.pop(future), result)
        elif result is None or isinstance(result, Illustrated):
            written = result is not None and result.written
            self.world.count("requests written" if written else "requests without change")
        elif isinstance(result, LimnerError):
            self.world.count(f"requests: {type(result).__name__}")
        elif not isinstance(result, ConnectionError):  # which the store of a simulation raises
            self.world.problems.append(f"{self.message_id}: a request raised {result!r}")

    def check_taken_back(self, request: RequestFuture[Any], taken_back: bool) -> None:
        """Check that a request was cancelled that was taken back."""
        self.world.count(f"requests {'taken back' if taken_back else 'not taken back any more'}")
        try:
            outcome: object = request.get(timeout=0) if request.done else None
        except BaseException as error:  # noqa: BLE001  # checked where the request is
            outcome = error
        if taken_back and not isinstance(outcome, SessionCancelled):
            self.world.problems.append(
                f"{self.message_id}: a request was taken back, and has ended with {outcome!r}"
            )
