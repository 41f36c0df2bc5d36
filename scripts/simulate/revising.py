"""People who change what is there: other pictures, other texts, after a message was written."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from limner.actors import PooledActor
from limner.messages.errors import LimnerError, MessageBusy, StudioClosed
from limner.messages.picture_requests import AgainMode, Mode
from limner.messages.pictures import Illustrated
from limner.messages.text.marks import find_marks
from limner.scripts.simulate.draws import whole

if TYPE_CHECKING:
    import pykka

    from limner.scripts.simulate.world import World

KINDS = (
    *("regenerate",) * 4,
    *("again", "retry", "apply", "remove", "edit", "reconcile", "strip", "clear"),
)


class Settled(NamedTuple):
    """What was wished for has an outcome."""

    future: pykka.Future[Any]


class RevisingActor(PooledActor):
    """Plays one who looks at a message that was written, and wants it otherwise.

    Started by the message's host; stops once all that was wished for has an outcome.

    Args:
        world: where it lives.
        message_id: whose text is changed.
    """

    def __init__(self, world: World, message_id: str) -> None:
        super().__init__()
        self.world = world
        self.message_id = message_id
        self.draw = world.draws("revising")
        self.left = world.params.scenario.revisions.times.draw_whole(self.draw)
        self.open = 0

    def on_start(self) -> None:
        """Begin."""
        self.go_on_later()

    def on_receive(self, message: object) -> Any:
        """Wish for something, or look at what became of a wish."""
        match message:
            case "next":
                self.left -= 1
                try:
                    self.wish(KINDS[int(self.draw() * len(KINDS))])
                except (MessageBusy, StudioClosed):
                    self.world.count("wishes refused")
                self.go_on_later()
            case Settled():
                self.open -= 1
                self.look(message.future)
            case _:
                return super().on_receive(message)
        if not self.left and not self.open:
            self.stop()
        return None

    def go_on_later(self) -> None:
        """Set the time of the next wish."""
        if self.left:
            pause = self.world.params.scenario.revisions.pause.draw(self.draw)
            self.system.clock.after(pause, self.actor_ref, "next")
        elif not self.open:
            self.stop()

    def wish(self, kind: str) -> None:
        """Wish for something; what the text has no place for is left."""
        studio, name = self.world.studio, self.message_id
        text = self.world.store.inner.texts.get(name, "")
        placements = [one.id for one in find_marks(text) if one.kind == "picture"]
        placement = placements[int(self.draw() * len(placements))] if placements else None
        match kind:
            case "regenerate" if placement is not None:
                mode = get_args(Mode)[int(self.draw() * 3)]
                prompt = f"refined {whole(self.draw, 1, 9)}" if self.draw() < 0.3 else None
                self.wait_for(studio.regenerate(name, placement, mode=mode, prompt=prompt))
            case "again":
                mode = get_args(AgainMode)[int(self.draw() * 2)]
                self.wait_for(studio.illustrate_again(name, mode))
            case "retry":
                self.wait_for(studio.retry(name))
            case "apply":
                self.wait_for(studio.apply(name))
            case "remove" if placement is not None:
                self.wait_for(studio.remove(name, placement))
            case "edit":
                self.wait_for(studio.edit(name, lambda text: text + " (edited)"))
            case "reconcile":
                self.wait_for(studio.reconcile(name))
            case "strip" if placement is not None:
                first = find_marks(text)[0]
                self.world.store.put(name, text[: first.start] + text[first.end :])
            case "clear" if self.draw() < 0.3:
                studio.clear(name)

    def wait_for(self, future: pykka.Future[Any]) -> None:
        """Hear of a future's end."""
        self.open += 1
        when_done: Any = future
        when_done.when_done(partial(self.actor_ref.deliver, Settled(future)))

    def look(self, future: pykka.Future[Any]) -> None:
        """Look at what became of a wish."""
        try:
            outcome = future.get(timeout=0)
        except BaseException as error:  # noqa: BLE001  # looked at below
            outcome = error
        if outcome is None or isinstance(outcome, Illustrated):
            self.world.count("wishes met" if outcome and outcome.written else "wishes without need")
        elif isinstance(outcome, LimnerError):
            self.world.count(f"wishes: {type(outcome).__name__}")
        elif not isinstance(outcome, ConnectionError):  # which the store of a simulation raises
            self.world.problems.append(f"{self.message_id}: a wish raised {outcome!r}")
