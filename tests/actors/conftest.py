"""A studio whose event log is audited, and whose threads are counted, when a test is over."""

import threading
from contextlib import ExitStack

import orjson
import pytest
from invariants import violations

from limner.actors import Settings, Studio
from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.messages.events import Unsubscribe


class Audited:
    """A studio, and what its event log says."""

    def __init__(self, path, studio):
        self.path = path
        self.studio = studio
        self.store = studio._store

    def events(self, name=None, **fields):
        recorder = self.studio._log.recorder
        if recorder.is_alive():
            recorder.ask(Unsubscribe(outlet=None))  # it has written all that it was told before
        lines = self.path.read_bytes().splitlines()
        events = [orjson.loads(line) for line in lines]
        return [
            event
            for event in events
            if (name is None or event["event"] == name)
            and all(event.get(key) == value for key, value in fields.items())
        ]

    def names(self):
        return [event["event"] for event in self.events()]


@pytest.fixture
def threads_before():
    return set(threading.enumerate())


@pytest.fixture
def open_studio(tmp_path, threads_before):
    """Give a function that opens a studio; each is closed and audited in the end."""
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


PROMPTS = ["a lighthouse, storm", "the keeper's stair", 'a gull \\"at rest\\"']


@pytest.fixture
def story():
    """A text with three prompts."""
    return (
        f'The lamp was lit. <!--img-prompt="{PROMPTS[0]}"--> He climbed. '
        f'<img-prompt="{PROMPTS[1]}"> And then <img_prompt="{PROMPTS[2]}"> it slept.\n'
    )
