"""Studios, on real threads or in virtual time, whose event log is audited when a test is over."""

import threading
from contextlib import ExitStack, suppress

import orjson
import pykka
import pytest
from support.invariants import violations

from limner.actors import Settings, SimulatedSystem, Studio
from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.messages.errors import GenerationFailed
from limner.messages.events.protocol import Unsubscribe

SEEDS = 12
"""How many drawn orders each test in virtual time runs in."""
PICTURE = Instant().generate(None, None)


class Audited:
    """A studio, and what its event log says."""

    def __init__(self, path, studio):
        self.path = path
        self.studio = studio
        self.store = studio._store

    def events(self, name=None, **fields):
        recorder = self.studio._log.recorder
        actor = recorder.actor_inbox.actor
        told = None
        while recorder.is_alive() and (told is None or actor.gathered_from <= told):
            recorder.ask(Unsubscribe(outlet=None))  # it has heard all that it was told before
            told = told or actor.seq  # and writes it once no more is to be gathered
        lines = self.path.read_bytes().splitlines()
        return chosen([orjson.loads(line) for line in lines], name, fields)

    def names(self):
        return [event["event"] for event in self.events()]

    @staticmethod
    def prompts_of(things):
        return [thing.prompt for thing in things]


class Simulated(Audited):
    """A studio in virtual time, which stands still but for who waits here or for a future."""

    SOON = 0.25
    """Seconds that the turns of a few actors take at most."""

    def __init__(self, path, studio, system, *, heard=True):
        super().__init__(path, studio)
        self.system = system
        self.heard = []
        if heard:
            studio.subscribe(self.heard.append)

    @property
    def now(self):
        """Seconds of virtual time since the beginning."""
        return self.system.clock.now / 1_000_000

    def draw(self, below):
        """Return a number that the seed draws, from 0 on."""
        return below * self.system.random("test").random()

    def let_pass(self, seconds):
        """Advance virtual time."""
        self.system.run_until(self.now + seconds)

    def until(self, name, *, times=1, **fields):
        """Go on until something has happened so many times."""

        def happened():
            return len(chosen(self.heard, name, fields)) >= times

        happened.__qualname__ = f"{times} {name} {fields or ''}"
        self.system.run_until(happened)

    def time_of(self, name, **fields):
        """Return when something happened, which must have happened once."""
        (event,) = self.events(name, **fields)
        return event["t"]

    def between(self, first, second):
        """Return the seconds from one thing to another, each of which must have happened once."""
        return round(self.time_of(second) - self.time_of(first), 6)  # whole microseconds


def chosen(events, name, fields):
    return [
        event
        for event in events
        if (name is None or event["event"] == name)
        and all(event.get(key) == value for key, value in fields.items())
    ]


class SlowStore(MemoryStore):
    """A store in memory whose calls take their time, since it is not exactly a `MemoryStore`."""


class Painter:
    """A generator that takes virtual time; it comes back early if it is cancelled.

    Args:
        system: whose time.
        seconds: that a picture takes, or that it takes by its prompt.
        deaf: prompts whose calls take no notice of being cancelled.
    """

    def __init__(self, system, seconds, deaf):
        self.system = system
        self.seconds = seconds
        self.deaf = deaf
        self.prompts = []

    def generate(self, task, cancelled):
        self.prompts.append(task.prompt)
        seconds = self.seconds
        if isinstance(seconds, dict):
            seconds = seconds.get(task.prompt, 0)
        if task.prompt in self.deaf:
            with suppress(pykka.Timeout):
                self.system.future(about="the end of a picture").get(timeout=seconds)
        elif cancelled.wait(seconds):
            raise GenerationFailed("cancelled", retryable=False)
        return PICTURE


@pytest.fixture
def threads_before():
    return set(threading.enumerate())


@pytest.fixture
def open_studio(tmp_path, threads_before):
    """Return a function that opens a studio; each is closed and audited in the end."""
    opened = []
    with ExitStack() as stack:

        def open_one(*, store=None, generator=None, lost_threads=0, **settings):
            path = tmp_path / f"events-{len(opened)}.jsonl"
            settings = {"events": path, "backoff": 0.01, "grace": 1, "deadline": 15, **settings}
            studio = Studio.open(
                Settings(**settings),
                store=MemoryStore() if store is None else store,
                generator=Instant() if generator is None else generator,
            )
            stack.callback(studio.close)
            opened.append((Audited(path, studio), lost_threads))
            return opened[-1][0]

        yield open_one
    for one, lost in opened:
        assert violations(one.events()) == []
        left = [thread for thread in threading.enumerate() if thread not in threads_before]
        assert len(left) <= lost, left


@pytest.fixture(params=range(SEEDS))
def seed(request):
    """Return what decides the order of all that happens in virtual time."""
    return request.param


@pytest.fixture
def open_simulated(tmp_path, threads_before, seed):
    """Return a function that opens a studio in virtual time; each is closed and audited in the end.

    Its settings are those that users have. A generator that is not given is a `Painter`; what
    calls of workers take besides is drawn by the seed, up to a second, or given by `latency`.
    """
    opened = []
    with ExitStack() as stack:

        def open_one(
            *,
            store=None,
            generator=None,
            seconds=0,
            deaf=(),
            latency=None,
            audited=True,
            heard=True,
            **settings,
        ):
            path = tmp_path / f"events-{len(opened)}.jsonl"
            system = SimulatedSystem(seed, latency=latency)
            stack.callback(system.close)
            studio = Studio.open(
                Settings(**{"events": path, "pattern_timeout": None, **settings}),
                store=SlowStore() if store is None else store,
                generator=Painter(system, seconds, deaf) if generator is None else generator,
                system=system,
            )
            stack.callback(studio.close)
            opened.append((Simulated(path, studio, system, heard=heard), audited and heard))
            return opened[-1][0]

        yield open_one
    for one, audited in opened:
        assert not audited or violations(one.events()) == []
    assert set(threading.enumerate()) <= threads_before
    assert pykka.ActorRegistry.get_all() == []


PROMPTS = ["a lighthouse, storm", "the keeper's stair", 'a gull \\"at rest\\"']


@pytest.fixture
def story():
    """A text with three prompts."""
    return (
        f'The lamp was lit. <!--img-prompt="{PROMPTS[0]}"--> He climbed. '
        f'<img-prompt="{PROMPTS[1]}"> And then <img_prompt="{PROMPTS[2]}"> it slept.\n'
    )


@pytest.fixture
def works_after(story):
    """Return a function that shows that a studio in virtual time still does its work."""

    def check(one):
        result = one.studio.illustrate("next", story).get()
        assert len(result.pictures) == 3
        assert one.studio.status().lanes["image"].out == 0

    return check
