"""Histories of a studio, each drawn by its number and played in virtual time.

`play(number)` gives what came of one, as JSON: texts, results, registries, and how each task ended.
It says the same however the actors take their turns, so two versions of Limner can be compared by
it, and it uses what hosts use alone. For that a script acts only when all is at rest: nothing is
under way then but pictures that are slow, writes that are held and streams that are open. What it
asks for at one moment overlaps, unless the order of turns could decide what comes of it.

    PYTHONPATH=tests python tests/support/scripted_histories.py --record FILE

records the histories that come out alike under several seeds of the simulation.
"""

import argparse
import gzip
import json
import re
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pykka
from support.scripted_world import (
    GRID,
    PICTURE,
    PLACEMENT,
    Draw,
    Painter,
    SlowStore,
    change,
    edits_of,
    registry_of,
    sessions_of,
    told,
)

from limner.actors import Settings, SimulatedSystem, Studio
from limner.actors.stores import MemoryStore
from limner.messages import Prompt

HISTORIES = 200
SEEDS = 8
"""Seeds of the simulation under which a history must come out alike to be recorded."""
MODES = ("replace-image", "append-after-image", "append-after-prompt")
EDITS = frozenset(["edit", "remove", "rewrite", "reconcile"])
WISHES = frozenset(["regenerate", "illustrate_again", "retry"])
STEPS = (
    *("stream",) * 5,
    *("regenerate",) * 6,
    *("edit", "rest", "wait") * 3,
    *("remove", "rewrite", "reconcile", "refine", "apply", "hold", "illustrate_again") * 2,
    *("clear", "interrupt", "illustrate", "retry", "release"),
    *("pending", "progress", "clear", "interrupt"),
    *("cancel", "outside", "outside", "outside", "history"),
)
FAILURE = re.compile(r"\b([0-9a-f]{20}):[0-9a-f]{20}\b")
"""What the mark of a failure says: the prompt's id, and the task's, which hangs on draws."""
BURSTS = frozenset(["regenerate", "edit", "stream"])
THEN = {"outside": "reconcile", "refine": "rewrite"}
"""What often follows a step."""
ABOUT = {
    **dict.fromkeys(("regenerate", "remove", "illustrate_again", "outside"), PLACEMENT),
    "retry": FAILURE,
}
"""What the text holds that a step is about."""
OF_OPEN = frozenset(["interrupt", "cancel", "clear", "apply", "pending", "progress", "hold"])
"""Steps that are about something that has no outcome yet."""
NO_TASKS = dict.fromkeys(
    ("characters", "detected", "queued", "generating", "completed", "failed", "cancelled"), 0
)
"""What is recorded of a message without a live session: the histories tell of live ones."""
ALL = "all prompts"


@dataclass
class Message:
    """One message of a history.

    Args:
        name: its id.
        prompts: what its tags may say.
        stream: the newest one.
        held: whether its writes are.
        recent: what was asked for since all was at rest.
        busy: ids of prompts whose pictures may be under way; two at once could be exchanged.
        open: futures that may have no outcome yet, in the order in which they were asked for.
        texts: those of them that are of streams and of complete texts.
        refined: prompts that were made by `refine`.
    """

    name: str
    prompts: list
    stream: object = None
    held: bool = False
    recent: set = field(default_factory=set)
    busy: set = field(default_factory=set)
    open: list = field(default_factory=list)
    texts: list = field(default_factory=list)
    refined: list = field(default_factory=list)

    @property
    def streams(self):
        return self.stream is not None and not self.stream.ended

    @property
    def waits(self):
        """Whether a text may wait for what was asked for before it.

        To interrupt or replace that would be a race: it would begin, learn which pictures are
        kept, and be interrupted, all at one time.
        """
        left = [future for future in self.open if not done(future)]
        return any(future in self.texts for future in left[1:])


class History:
    """One history while it is played."""

    def __init__(self, number, seed):
        self.draw = draw = Draw(number)
        self.system = SimulatedSystem(seed)
        self.steps = []
        self.events = []
        self.slots = draw.pick((1, 2, 60, 60, 60))
        self.slow = self.slots == 60  # else it would be by chance who waits for a slow picture
        self.settle_after = draw.pick((0, 3, 3, 411, 2_517))
        self.settings = self.draw_settings()
        self.store = SlowStore() if draw.chance(0.6) else MemoryStore()
        self.messages = [
            Message(name, [draw.prompt(slow=self.slow) for _ in range(4)])
            for name in ("msg-1", "msg/2", "третье", "4")[: draw.between(2, 4)]
        ]

    def draw_settings(self):
        draw = self.draw
        return {
            "slots": self.slots,
            "settle_after": self.settle_after,
            "attempts": draw.between(1, 3),
            "backoff": 0.1,
            "lease": 80_000,
            "deadline": draw.pick((80_000, 80_000, 80_000, 555)),
            "write_at_deadline": draw.chance(0.5),
            "idle_timeout": draw.pick((None, None, None, None, 353)),
            "generation_timeout": draw.pick((20_000, 20_000, 20_000, 503)),
            "reconcile_after": draw.pick((None, None, 13)),
            "placeholders": draw.chance(0.5),
            "markup": draw.pick(("html", "html", "markdown")),
            "max_prompts_per_message": draw.pick((100, 100, 3, 1)),
            "common_tags": draw.pick(("", "", "ink, wash")),
        }

    def play(self):
        """Play it, and return what came of it."""
        draw = self.draw
        settings = Settings(pattern_timeout=None, **self.settings)
        with closing(self.system):
            self.studio = Studio.open(
                settings, store=self.store, generator=Painter(), system=self.system
            )
            self.studio.subscribe(self.events.append)
            for message in self.messages:
                if draw.chance(0.75):
                    self.step("illustrate", message)
            for _ in range(draw.between(5, 25)):
                kind = draw.pick(STEPS)
                message = self.message_for(kind)
                for _ in range(draw.between(1, 3) if kind in BURSTS else 1):
                    self.step(kind, message)
                if kind in THEN and draw.chance(0.5):
                    self.step(THEN[kind], message)
            self.rest()
            cut = draw.chance(0.2) and not any(message.waits for message in self.messages)
            if not cut:
                self.end()
            self.studio.close()
            for step in self.steps:
                if "future" in step:
                    step["outcome"] = told(outcome_of(step.pop("future")))
        sessions, edits = sessions_of(self.events), edits_of(self.events)
        return {
            "settings": self.settings,
            "store": type(self.store).__name__,
            "closed": "early" if cut else "at rest",
            "steps": self.steps,
            "messages": {
                message.name: {
                    "text": self.text(message),
                    "registry": registry_of(self.store, message.name),
                    "sessions": sessions.get(message.name, []),
                    "edits": edits.get(message.name, []),
                }
                for message in self.messages
            },
        }

    def end(self):
        """Run all to its end."""
        for message in self.draw.shuffled(self.messages):
            if message.held:
                self.studio.release(message.name)
            if message.streams:
                self.keep("finish", message, message.stream.finish())
        for message in self.messages:
            for future in message.open:
                outcome_of(future)
        self.rest()

    def rest(self):
        """Advance time until nothing is under way but what takes long."""
        now = self.system.clock.now // 1_000_000
        self.system.run_until((now // GRID + 1) * GRID)
        for message in self.messages:
            message.recent.clear()
            message.open = [future for future in message.open if not done(future)]
            if not message.open:
                message.busy.clear()

    def rest_before(self, kind, message):
        """Rest if the order of turns could decide what comes of this."""
        after_wish = message.recent & {*WISHES, "apply"}
        if kind in EDITS:
            certain = not after_wish
        elif kind in {*WISHES, "apply"}:
            certain = not after_wish or (self.settle_after and "apply" not in message.recent)
        elif kind in {"stream", "illustrate"}:
            certain = not after_wish
        else:
            certain = False
        if not certain and any(other.recent for other in self.messages):
            self.rest()
        message.recent.add(kind)

    def step(self, kind, message):
        """Do one thing, and note what it gave at once."""
        if kind == "rest":
            self.rest()
            return
        if kind not in {"refine", "history", "outside"}:
            self.rest_before(kind, message)
        step = {"step": kind, "message": message.name}
        self.steps.append(step)
        try:
            getattr(self, kind)(message, step)
        except Exception as error:
            step["error"] = told(error)

    def message_for(self, kind):
        """Return a drawn message, often one that has what this is about."""
        about = self.messages
        if kind in ABOUT and self.draw.chance(0.85):
            there = [one for one in about if not one.streams and ABOUT[kind].search(self.text(one))]
            about = there or about
        elif kind in OF_OPEN and self.draw.chance(0.85):
            about = [one for one in about if any(not done(future) for future in one.open)] or about
        return self.draw.pick(about)

    def keep(self, kind, message, future, step=None):
        """Remember a future, whose outcome is asked for in the end."""
        if step is None:
            step = {"step": kind, "message": message.name}
            self.steps.append(step)
        step["future"] = future
        message.open.append(future)
        if kind in {"stream", "illustrate"}:
            message.texts.append(future)

    def whose(self, message):
        """Return an owner and a priority; of one message alone if pictures could be exchanged."""
        if self.slots == 1:
            return {"owner": message.name, "priority": 4}
        draw = self.draw
        return {
            "owner": draw.pick((None, "alice", "bob")),
            "priority": draw.pick(("active", "background", draw.below(10))),
        }

    def text(self, message):
        """Return what the store holds now."""
        loaded = self.store.load(message.name)
        return "" if loaded is None else loaded[0]

    def prompts(self, message):
        """Return what the registry knows now, in an order that does not hang on turns."""
        return sorted(self.store.registry(message.name).prompts, key=lambda one: one.id)

    def target(self, message):
        """Return a placement that the text holds now, or one that no text holds."""
        there = PLACEMENT.findall(self.text(message))
        if there and self.draw.chance(0.95):
            return self.draw.pick(there)
        return "0" * 20 + ":" + "f" * 32

    # what hosts do with a stream

    def stream(self, message, step):
        draw, fresh = self.draw, not message.streams
        if fresh:
            message.stream = self.studio.stream(message.name, **self.whose(message))
            self.keep("stream", message, message.stream.future, step)
        way = draw.pick(("feed", "feed", "replace", "finish", "finish text"))
        text = draw.text(message.prompts)
        if way in {"replace", "finish text"} and not fresh:
            self.rest()
            message.recent.add("stream")
            way = "feed" if message.waits else way
        step["way"] = way
        if way == "replace":
            message.stream.replace(text)
        elif way == "finish text":
            message.stream.finish(text)
        else:
            for chunk in draw.chunks(text):
                message.stream.feed(chunk)
            end = draw.pick((None, "finish", "finish")) if way == "feed" else "finish"
            if end:
                step["end"] = end
                message.stream.finish()

    def illustrate(self, message, step):
        text = self.draw.text(message.prompts)
        future = self.studio.illustrate(message.name, text, **self.whose(message))
        message.stream = None
        self.keep("illustrate", message, future, step)

    def interrupt(self, message, step):
        if message.stream is not None and not message.waits:
            message.stream.interrupt()

    def cancel(self, message, step):
        if message.stream is not None:
            self.keep("cancel", message, message.stream.cancel(), step)

    # pictures of a text that is there

    def regenerate(self, message, step):
        draw, target = self.draw, self.target(message)
        own = target.partition(":")[0]
        known = self.prompts(message)
        new = f"{draw.prompt(slow=self.slow)}, take {len(self.steps)}"
        prompt = draw.pick(
            (None, None, None, None, new, new, new, *known[:1], *message.refined[-3:])
        )
        if draw.chance(0.03):
            prompt = ""
        name = prompt.id if isinstance(prompt, Prompt) else own
        if self.slots > 1 and (prompt is None or isinstance(prompt, Prompt)):
            if name in message.busy or ALL in message.busy:
                prompt = new
            else:
                message.busy.add(name)
        step["mode"], step["target"] = draw.pick(MODES), target
        step["prompt"] = prompt.id if isinstance(prompt, Prompt) else prompt
        future = self.studio.regenerate(
            message.name, target, mode=step["mode"], prompt=prompt, **self.whose(message)
        )
        self.keep("regenerate", message, future, step)

    def illustrate_again(self, message, step):
        if self.slots > 1 and message.busy:
            step["left"] = True
            return
        message.busy.add(ALL)
        step["mode"] = self.draw.pick(("append", "replace"))
        step["only_missing"] = self.draw.chance(0.5)
        future = self.studio.illustrate_again(
            message.name,
            step["mode"],
            only_missing=step["only_missing"],
            **self.whose(message),
        )
        self.keep("illustrate_again", message, future, step)

    def retry(self, message, step):
        if self.slots > 1 and message.busy:
            step["left"] = True
            return
        message.busy.add(ALL)
        self.keep("retry", message, self.studio.retry(message.name, **self.whose(message)), step)

    def apply(self, message, step):
        step["wait"] = self.draw.chance(0.6)
        if not step["wait"] and message.recent - {"apply"}:
            self.rest()
        message.recent.add("apply")
        self.keep("apply", message, self.studio.apply(message.name, wait=step["wait"]), step)

    # changes of texts

    def edit(self, message, step):
        step["change"], changed = change(self.draw, message.prompts, len(self.steps))
        self.keep("edit", message, self.studio.edit(message.name, changed), step)

    def remove(self, message, step):
        step["target"] = self.target(message)
        self.keep("remove", message, self.studio.remove(message.name, step["target"]), step)

    def rewrite(self, message, step):
        prompts = message.refined or self.prompts(message)
        if prompts:
            prompt = self.draw.pick(prompts)
            step["prompt"] = prompt.id
            self.keep("rewrite", message, self.studio.rewrite(message.name, prompt), step)

    def reconcile(self, message, step):
        self.keep("reconcile", message, self.studio.reconcile(message.name), step)

    def outside(self, message, step):
        """Play another program that changes the stored text."""
        loaded = self.store.load(message.name)
        if loaded is None:
            return
        if self.draw.chance(0.15):
            step["change"] = "delete"
            del self.store.texts[message.name]
            return
        step["change"], changed = change(self.draw, message.prompts, len(self.steps))
        if step["change"] in {"append", "raise", "number"}:  # programs strip more than they add
            step["change"], changed = "strip", lambda text: PICTURE.sub("", text)
        self.store.write(message.name, changed(loaded[0]), expected_version=loaded[1])

    # the queue of writes, and what is known

    def hold(self, message, step):
        self.studio.hold(message.name).get()
        message.held = True
        self.rest()

    def release(self, message, step):
        self.studio.release(message.name)
        message.held = False

    def clear(self, message, step):
        step["answer"] = self.studio.clear(message.name)
        self.rest()

    def pending(self, message, step):
        step["answer"] = self.studio.pending(message.name).model_dump(mode="json")
        self.rest()

    def progress(self, message, step):
        answer = self.studio.progress(message.name)
        if answer.state not in {"streaming", "settling", "regenerating"}:
            answer = type(answer).trusted(message_id=message.name, state="none", **NO_TASKS)
        step["answer"] = answer.__dict__
        self.rest()

    def refine(self, message, step):
        prompts = self.prompts(message)
        if prompts:
            text = f"{self.draw.prompt(slow=self.slow)}, draft {self.draw.below(5)}"
            prompt = self.studio.refine(
                self.draw.pick(prompts).id,
                text,
                feedback=self.draw.pick((None, "more of it")),
                source=self.draw.pick(("manual", "model", "a friend")),
            )
            message.refined.append(prompt)
            step["answer"] = prompt.id

    def history(self, message, step):
        prompts = self.prompts(message)
        name = self.draw.pick(prompts).id if prompts else "none"
        step["answer"] = [one.id for one in self.studio.history(name)]

    def wait(self, message, step):
        """Wait for something that was asked for, if it can come."""
        if message.open and not message.held and not message.streams:
            outcome_of(self.draw.pick(message.open))
            self.rest()


def outcome_of(future):
    try:
        return future.get()
    except Exception as error:
        return error


def done(future):
    try:
        future.get(timeout=0)
    except pykka.Timeout:
        return False
    except Exception:
        return True
    return True


def play(number, seed=None):
    """Play a history; return what came of it, as JSON.

    Args:
        number: decides what is done.
        seed: decides in which order the actors take their turns; `number` by default.
    """
    played = json.dumps(History(number, number if seed is None else seed).play())
    return json.loads(FAILURE.sub(r"\1:task", played))


def alike(number):
    """Return what came of a history if that is the same under all seeds, else `None`."""
    first = play(number)
    for seed in range(1, SEEDS):
        if play(number, number + 100_000 * seed) != first:
            return None
    return first


def write(path, histories):
    """Write histories as compressed JSON, the same bytes for the same histories."""
    raw = json.dumps(histories, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    path.write_bytes(gzip.compress(raw.encode(), 9, mtime=0))


def read(path):
    """Read recorded histories, by number."""
    recorded = json.loads(gzip.decompress(path.read_bytes()))
    return {int(number): history for number, history in recorded.items()}


def main():
    parser = argparse.ArgumentParser(description="Record histories on the tree that is installed.")
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--histories", type=int, default=HISTORIES)
    arguments = parser.parse_args()
    recorded, rejected, number = {}, [], 0
    while len(recorded) < arguments.histories:
        history = alike(number)
        if history is None:
            rejected.append(number)
        else:
            recorded[number] = history
        number += 1
    write(arguments.record, recorded)
    print(f"{len(recorded)} histories recorded; {len(rejected)} rejected: {rejected}")


if __name__ == "__main__":
    sys.exit(main())
