"""Streams, regenerations, edits, removals, holds, cancels and crashes, all on a few messages.

Each seed draws what several hosts do. In the end the event log keeps its invariants, and every
text that was written is what one whole operation makes of the one before it: so the last is what
some order of the whole operations gives.
"""

import functools
from contextlib import closing, suppress
from io import BytesIO
from random import Random

import orjson
import pykka
import pytest
from PIL import Image
from support import revision_model as model
from support.invariants import violations
from support.quick import first_is_quick

from limner.actors import Faults, PooledActor, Settings, SimulatedSystem, Studio, System
from limner.actors.stores import MemoryStore, PictureFiles, SqlStore
from limner.messages import Illustrated, PictureBytes
from limner.messages.errors import (
    GenerationFailed,
    LimnerError,
    MessageBusy,
    SessionCancelled,
    SessionTimedOut,
    StoreFailed,
    StreamClosed,
    StudioClosed,
    UnknownMessage,
    UnknownPicture,
)

SEEDS = 1_000
AT_ONCE = 100
"""Seeds a test, so that one sees how far it is."""
MESSAGES = ("m", "n")
PROMPTS = ("a roof", "a street", "a lamp")
PLACES = ("replace-image", "append-after-image", "append-after-prompt")
STEPS = (
    *("stream", "whole", "again", "again", "retry", "apply", "reconcile"),
    *("remove", "remove", "edit", "edit", "hold", "release", "release"),
    *["regenerate"] * 5,
)
UNSURE = 0.3
"""The share of seeds in which actors are made to fail."""


@functools.cache
def picture(number):
    data = BytesIO()
    Image.new("RGB", (2, 2), (number, 0, 0)).save(data, "PNG")
    return PictureBytes(data=data.getvalue())


class Recorded:
    """What is added to a store: it remembers each write, and which of them no studio made."""

    def __init__(self, *given):
        super().__init__(*given)
        self.written = {}
        self.foreign = set()

    def write(self, message_id, text, *, expected_version, links=None):
        version = super().write(message_id, text, expected_version=expected_version, links=links)
        self.written.setdefault(message_id, {})[version] = text
        return version

    def meddle(self, message_id, change):
        """Change a text as another program does."""
        text, version = self.load(message_id)
        self.foreign.add(
            (message_id, self.write(message_id, change(text), expected_version=version))
        )


class Store(Recorded, MemoryStore):
    """In memory, and yet with calls that take their time."""


class OnDisk(Recorded, SqlStore):
    """On a real disk."""


class Backend:
    """A generator of pictures that differ; some prompts fail now and then."""

    def __init__(self, draw, failing):
        self.draw, self.failing = draw, failing

    def generate(self, task, cancelled):
        if self.draw() < self.failing:
            raise GenerationFailed("refused", retryable=False)
        return picture(task.seed % 200)


class Done:
    """One whole operation: what was asked, and what came of it."""

    def __init__(self, kind, message_id, future, **about):
        self.kind, self.message_id, self.future = kind, message_id, future
        self.__dict__.update(about)

    @property
    def outcome(self):
        try:
            return self.future.get(timeout=0)
        except Exception as error:
            return error


class Host(PooledActor):
    """Does one thing after another to the messages that all hosts share."""

    def __init__(self, world, number, steps):
        super().__init__()
        self.world, self.number, self.left = world, number, steps
        self.draw = world.draw
        self.streams = {}

    def on_start(self):
        self.later()

    def later(self):
        seconds = self.draw() * self.world.pace
        self.system.clock.after(seconds, self.actor_ref, "next")

    def on_receive(self, message):
        if message != "next":
            return super().on_receive(message)
        if not self.left:
            for stream in self.streams.values():
                self.world.finish(stream)
            for one in MESSAGES:
                with suppress(StudioClosed):
                    self.world.studio.release(one)
            self.world.leave()
            self.stop()
            return None
        self.left -= 1
        with suppress(MessageBusy, StudioClosed, StreamClosed):
            self.step(self.among(*MESSAGES))
        self.later()
        return None

    def among(self, *values):
        return values[int(self.draw() * len(values))]

    def step(self, message_id):
        world, studio = self.world, self.world.studio
        stored = (world.store.load(message_id) or ("", None))[0]
        there = model.pictures(stored)
        name = f"{self.number}.{self.left}"
        match self.among(*world.steps):
            case "stream":
                if message_id in self.streams:
                    self.end_stream(message_id)
                else:
                    self.streams[message_id] = world.stream(message_id, self.text(name))
            case "whole":
                text = self.text(name)
                world.did("stream", message_id, studio.illustrate(message_id, text), text=text)
            case "regenerate" if there:
                target, place = self.among(*there), self.among(*PLACES)
                future = studio.regenerate(message_id, target, mode=place)
                world.did("regenerate", message_id, future, single=True)
            case "again" if stored:
                future = studio.illustrate_again(message_id, self.among("append", "replace"))
                world.did("regenerate", message_id, future)
            case "retry":
                world.did("regenerate", message_id, studio.retry(message_id))
            case "apply":
                studio.apply(message_id)
            case "remove" if there:
                target = self.among(*there)
                future = studio.remove(message_id, target)
                world.did("remove", message_id, future, target=target)
            case "edit":
                change = self.change(name)
                world.did("edit", message_id, studio.edit(message_id, change), change=change)
            case "reconcile":
                world.did("reconcile", message_id, studio.reconcile(message_id))
            case "hold":
                studio.hold(message_id)
            case "release":
                studio.release(message_id)
            case "clear":
                studio.clear(message_id)
            case "meddle" if stored:
                strip = self.draw() < 0.7

                def change(text):
                    return model.bare(text) if strip else text + f" other{name}"

                world.store.meddle(message_id, change)

    def text(self, name):
        tags = [self.world.tag() for _ in range(int(4 * self.draw()))]
        return f"text{name} " + " and ".join(tags) + " end."

    def change(self, name):
        if self.world.hanging and self.draw() < 0.3:
            seconds = 4 * self.draw()

            def hang(text):
                with suppress(pykka.Timeout):
                    self.world.system.future(about="a change").get(timeout=seconds)
                return text + f" late{name}"

            return hang
        if self.draw() < 0.5:
            return lambda text: text + f" edit{name}"
        return lambda text: f"edit{name} " + text

    def end_stream(self, message_id):
        stream = self.streams.pop(message_id)
        match self.among("finish", "finish", "interrupt", "cancel"):
            case "finish":
                self.world.finish(stream)
            case "interrupt":
                stream.interrupt()
            case "cancel":
                stream.cancel()


class World:
    """What a seed draws, and all that was done in it."""

    ordered = True
    """Whether `done` has the order in which all was asked for."""

    def __init__(self, seed, path):
        self.path = path
        draws = SimulatedSystem(seed).random("world").random
        fails = 0.02 * draws() if draws() < UNSURE else 0
        names = ("Session", "Regeneration", "Monitor", "Processor", "Writer")
        slow, failing = 4 * draws(), 0.4 * draws()
        stores = 0.5 * draws()

        def latency(lane, _):
            seconds = slow if lane.startswith("image") else stores
            return round(1e6 * self.draw() * seconds)

        self.store = Store()
        self.system = SimulatedSystem(
            seed,
            latency=latency,
            faults=Faults(failure={f"{name}Actor": fails for name in names}),
        )
        self.draw = self.system.random("load").random
        self.crashes = fails > 0
        self.pace = 4 * draws()
        self.steps = [*STEPS, *(("clear", "meddle") if draws() < 0.5 else ())]
        self.settings = Settings(
            events=path,
            settle_after=(0, 1, 2)[int(3 * draws())],
            reconcile_after=(None, 5)[int(2 * draws())],
            placeholders=draws() < 0.5,
            slots=1 + int(3 * draws()),
            pattern_timeout=None,
            attempts=1,
            deadline=(300, 10)[int(2 * draws())],
            write_at_deadline=draws() < 0.5,
            store_timeout=60,
        )
        self.hanging = draws() < 0.3
        if self.hanging:
            self.settings = self.settings.but(store_timeout=1.5)
        self.open(2 + int(3 * draws()), failing)

    def open(self, hosts, failing):
        """Open the studio, write each message once, and let the hosts begin."""
        self.done = []
        self.hosts = hosts
        self.over = self.system.future()
        self.studio = Studio.open(
            self.settings,
            store=self.store,
            generator=Backend(self.draw, failing),
            system=self.system,
        )
        for message_id in MESSAGES:
            text = f"first {self.tag()} then {self.tag()} end."
            self.did("stream", message_id, self.studio.illustrate(message_id, text), text=text)
        for number in range(hosts):
            self.system.start(Host, self, number, 4 + int(12 * self.draw()))

    def leave(self):
        """Remove a host that has ended; the last one ends the world."""
        self.hosts -= 1
        if not self.hosts:
            self.over.set()

    def tag(self):
        return f'<!--img-prompt="{PROMPTS[int(self.draw() * len(PROMPTS))]}"-->'

    def did(self, kind, message_id, future, **about):
        self.done.append(Done(kind, message_id, future, **about))

    def stream(self, message_id, text):
        stream = self.studio.stream(message_id)
        for known in self.done:
            if known.kind == "stream" and known.future is stream.future:
                known.text += text
                break
        else:
            self.did("stream", message_id, stream.future, text=text, stream=stream)
        stream.feed(text)
        return stream

    @staticmethod
    def finish(stream):
        with suppress(StreamClosed, StudioClosed):
            stream.finish()

    def run(self):
        self.over.get()
        self.studio.close()
        return [orjson.loads(line) for line in self.path.read_bytes().splitlines()]


class RealWorld(World):
    """The same on real threads, a real disk, in real time."""

    ordered = False

    def __init__(self, seed, folder):
        self.path = folder / "events.jsonl"
        self.store = OnDisk(f"sqlite:///{folder / 'texts.db'}", PictureFiles(folder / "pictures"))
        self.system = System(threads=4)
        random, lock = Random(seed), self.system.lock()

        def draw():
            with lock:
                return random.random()

        self.draw, self.crashes, self.hanging, self.pace = draw, False, False, 0.02
        self.counting = self.system.lock()
        self.steps = [*STEPS, "clear"]
        self.settings = Settings(events=self.path, settle_after=0.05, placeholders=True, attempts=1)
        self.open(6, failing=0.2)

    def leave(self):
        with self.counting:
            super().leave()


def check(world, events):
    """Return what is wrong with what came of it, a line each."""
    wrong = list(violations(events))
    wanted = {}
    replacing = {}  # what the picture of each task was to replace
    sealed = {}
    for event in events:
        match event["event"]:
            case "picture_wanted":
                replaces = replacing[event["task_id"]] = model.replaces(event, replacing)
                wanted.setdefault(event["session_id"], []).append(event | {"replaces": replaces})
            case "text_written":
                sealed[event["message_id"], event["version"]] = event["session_id"]
    edits = {
        (event["message_id"], event["version"]): event["kind"]
        for event in events
        if event["event"] == "text_edited"
    }
    by_version = {}
    for one in world.done:
        outcome = one.outcome
        if isinstance(outcome, pykka.Timeout):
            wrong.append(f"the {one.kind} of {one.message_id} has no outcome")
        elif isinstance(outcome, Illustrated):
            if outcome.written:
                by_version.setdefault((one.message_id, outcome.version), []).append(one)
        elif not isinstance(outcome, LimnerError):
            wrong.append(f"the {one.kind} of {one.message_id} raised {outcome!r}")
        elif not world.crashes and not isinstance(
            outcome, SessionCancelled | SessionTimedOut | UnknownPicture | UnknownMessage
        ):
            if world.hanging and isinstance(outcome, StoreFailed):
                continue

            wrong.append(f"the {one.kind} of {one.message_id} failed: {outcome!r}")
    asked = {id(one): at for at, one in enumerate(world.done)}
    for message_id, texts in world.store.written.items():
        before = ""
        latest = -1
        for version, text in texts.items():
            key = message_id, version
            ones = by_version.pop(key, [])
            for one in ones[:1] if world.ordered and key not in world.store.foreign else ():
                if one.kind != "regenerate":  # which gather, and are written later
                    if asked[id(one)] < latest:
                        wrong.append(f"the {one.kind} {key} is after what was asked for later")
                    latest = max(latest, asked[id(one)])
            if key not in world.store.foreign:
                own = judge(world, key, ones, before, text, wanted.get(sealed.get(key), []), edits)
                wrong += [f"{message_id} version {version}: {line}" for line in own]
            if len(set(model.pictures(text))) < len(model.pictures(text)):
                wrong.append(f"{message_id} version {version}: a picture stands in it twice")
            before = text
    wrong += [f"{key} was never written: {ones[0].kind}" for key, ones in by_version.items()]
    return wrong


def judge(world, key, ones, before, text, wishes, edits):
    """Return what is wrong with one write, by what one whole operation makes of the text before."""
    kinds = {one.kind for one in ones}
    if len(kinds) > 1 or (len(ones) > 1 and kinds != {"regenerate"} and kinds != {"stream"}):
        yield f"it is of {sorted(kinds)} at once"
        return
    if not ones and key not in edits and not world.crashes:
        yield "nobody has made it"
    kind = next(iter(kinds), edits.get(key, "lost"))
    result = ones[0].outcome if ones else None
    if result is not None and result.text != text:
        yield f"{kind} gave another text than was written"
    match kind:
        case "stream":
            texts = {one.text for one in ones}
            met = any((key[0], version) in world.store.foreign for version in range(1, key[1]))
            own = model.bare(text)
            if not any(given.startswith(own) for given in texts) and not (
                met and own == model.bare(before)
            ):
                yield f"streamed {texts}, written {own!r}"
        case "edit":
            if ones[0].change(before) != text:
                yield f"an edit made {text!r} of {before!r}"
        case "remove":
            expected = [one for one in model.pieces(before) if one != ("picture", ones[0].target)]
            if joined(expected) != joined(model.pieces(text)):
                yield f"a removal of {ones[0].target} made {text!r} of {before!r}"
        case "reconcile":
            stood, stands = model.pictures(before), model.pictures(text)
            if model.bare(before) != model.bare(text) or [x for x in stands if x in stood] != stood:
                yield f"reconciling made {text!r} of {before!r}"
        case "regenerate":
            yield from judge_regeneration(before, text, wishes, result)
            single = sum(event["place"] in PLACES for event in wishes)
            if single != sum(hasattr(one, "single") for one in ones):
                yield f"{single} wishes were heard, and {len(ones)} calls were told of the outcome"
        case "lost" if model.bare(text) != model.bare(before) and not any(
            one.kind == "stream" and one.text.startswith(model.bare(text)) for one in world.done
        ):
            yield f"a session that failed made {text!r} of {before!r}"


def judge_regeneration(before, text, wishes, result):
    made = {one.task_id: ("picture", one.id) for one in result.pictures}
    mark = {name[21:]: ("failure", name) for name in model.failures(text)}
    tags = [name for kind, name in model.pieces(before) if kind == "tag"]
    wanted = []
    for event in wishes:
        task = event["task_id"]
        tag = None
        if event["prompt"] in tags:
            tag = tag_of(before, event["message_id"], event["prompt_id"])
        wanted.append(
            (
                (event["place"], event["target"], tag, event["replaces"]),
                made.get(task) or mark.get(task) or (None, None),
            )
        )
    expected = model.regenerated(before, wanted)
    if joined(expected) != joined(model.pieces(text)):
        yield f"regenerating {wanted} made\n  {text!r} of\n  {before!r}, not\n  {expected!r}"


def tag_of(text, message_id, prompt_id):
    """Return the number of the tag that a prompt names by its text and ordinal."""
    from limner.messages.ids import prompt_id as name_of

    seen = {}
    for number, name in enumerate(name for kind, name in model.pieces(text) if kind == "tag"):
        ordinal = seen.get(name, 0)
        seen[name] = ordinal + 1
        if name_of(message_id, name, ordinal) == prompt_id:
            return number
    return None


def joined(parts):
    """Return pieces with neighbouring texts as one."""
    out = []
    for kind, name in parts:
        if kind == "text" and out and out[-1][0] == "text":
            out[-1] = ("text", out[-1][1] + name)
        else:
            out.append((kind, name))
    return out


def run(seed, path):
    world = World(seed, path)
    with closing(world.system):
        events = world.run()
        return check(world, events)


@pytest.mark.parametrize("first", first_is_quick(range(0, SEEDS, AT_ONCE)))
def test_each_text_is_what_one_whole_operation_makes_of_the_one_before(tmp_path, first):
    for seed in range(first, first + AT_ONCE):
        wrong = run(seed, tmp_path / f"{seed}.jsonl")
        assert wrong == [], f"seed {seed}"


@pytest.mark.parametrize("seed", range(5))
def test_so_it_is_on_real_threads_and_a_real_disk(tmp_path, seed):
    world = RealWorld(seed, tmp_path)
    try:
        assert check(world, world.run()) == []
    finally:
        world.system.close()
        world.store.close()
