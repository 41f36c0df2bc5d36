"""What all contenders share: the messages, the work for a prompt, and a stopwatch."""

import gc
import itertools
import re
import sys
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from limner.actors.generators.checking import check_picture
from limner.actors.generators.protocol import Cancelled, Generator
from limner.actors.stores.protocol import Store
from limner.messages.errors import LimnerError, SettingsInvalid
from limner.messages.ids import prompt_id
from limner.messages.pictures import Placement
from limner.messages.prompts import Prompt, PromptMatch
from limner.messages.settings import Settings
from limner.messages.tasks import Task

if sys.platform != "win32":
    import resource

CHUNK = 4
"""Characters of one chunk, about as many as a model's token has."""

PATIENCE = 3_600.0
"""Seconds that a contender may take before it fails."""

_PROSE = "The keeper counted the waves and wrote them down, one line for each of them. "
_MARK = re.compile(r'data-limner="([0-9a-f]+):[0-9a-f]+"')


class BenchFailed(LimnerError):
    """A contender did not do the work, so its time means nothing."""


class ThreadsExhausted(LimnerError):
    """The machine cannot start as many threads as a contender needs."""


class Workload:
    """Messages to illustrate, the same for every contender.

    Args:
        messages: the number that are live at one time; at least 1.
        chunks: of `CHUNK` characters, in each message.
        prompts: in each message, spread evenly over its prose.
        slots: the number of pictures in generation at one time, 1 to 1,000.

    Raises:
        SettingsInvalid: if `slots` is out of its bounds, or the prompts of a message do not fit
            into its chunks.
    """

    def __init__(self, *, messages: int, chunks: int, prompts: int, slots: int) -> None:
        self.chunks = chunks
        self.prompts = prompts
        self.settings = Settings(slots=slots, deadline=PATIENCE)
        self.ids = tuple(f"message-{number}" for number in range(messages))
        self.texts = tuple(self._text(number) for number in range(messages))

    def _prompts(self, number: int) -> list[str]:
        return [f"a lighthouse at dusk {number}.{which}" for which in range(self.prompts)]

    def _text(self, number: int) -> str:
        tags = [f'<!--img-prompt="{prompt}"-->' for prompt in self._prompts(number)]
        length = self.chunks * CHUNK
        prose = length - sum(map(len, tags))
        if prose < 0:
            raise SettingsInvalid(
                f"{self.prompts} prompts do not fit into {self.chunks} chunks of {CHUNK}"
                f" characters: at least {-(-(length - prose) // CHUNK)} chunks are needed"
            )
        lines = itertools.islice(itertools.cycle(_PROSE), prose)
        size = prose // (len(tags) + 1)
        parts = ["".join(itertools.islice(lines, size)) + tag for tag in tags]
        return "".join(parts) + "".join(lines)

    def rounds(self) -> Iterator[list[str]]:
        """Yield the next chunk of all messages, as a list of new strings.

        A contender that keeps chunks pays for their memory, as if they came from a model.
        """
        for start in range(0, self.chunks * CHUNK, CHUNK):
            yield [text[start : start + CHUNK] for text in self.texts]

    @cached_property
    def expected(self) -> tuple[list[str], ...]:
        """The prompt ids that the marks in each text must have, in their order."""
        return tuple(
            [prompt_id(message_id, prompt, 0) for prompt in self._prompts(number)]
            for number, message_id in enumerate(self.ids)
        )

    def check(self, store: Store) -> None:
        """Check that each message's text is in the store with all its pictures, in order.

        Raises:
            BenchFailed: naming the first message that is not.
        """
        for message_id, expected in zip(self.ids, self.expected, strict=True):
            loaded = store.load(message_id)
            if loaded is None:
                raise BenchFailed(f"{message_id} was not written")
            found = _MARK.findall(loaded[0])
            if found != expected:
                raise BenchFailed(
                    f"{message_id} holds {len(found)} pictures"
                    f" where {len(expected)} belong, or others than those"
                )


class Stopwatch:
    """Measures time and memory of one run. The contender calls each method once, in this order.

    Args:
        memory: returns the bytes in use now.
    """

    def __init__(self, memory: Callable[[], int]) -> None:
        self._memory = memory
        self.seconds = 0.0
        self.live_bytes = 0
        self._began = 0.0
        self._before = 0

    def begin(self) -> None:
        """Start the time; no message is open yet."""
        gc.collect()
        self._before = self._memory()
        self._began = time.perf_counter()

    def all_live(self) -> None:
        """Measure memory; every message is open and fed completely, and none is finished."""
        self.live_bytes = self._memory() - self._before

    def end(self) -> None:
        """Stop the time; the last message is written."""
        self.seconds = time.perf_counter() - self._began


Contender = Callable[[Workload, Store, Generator, Stopwatch], None]
"""Illustrates a workload into a store, and returns when all messages are written."""


def resident_bytes() -> int:
    """Return the resident set of this process in bytes; its peak where there is no `/proc`.

    Raises:
        BenchFailed: on Windows, where it is not measured.
    """
    if sys.platform == "win32":
        raise BenchFailed("memory cannot be measured on Windows")
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1_024


def picture_of(
    match: PromptMatch,
    message_id: str,
    *,
    settings: Settings,
    store: Store,
    generator: Generator,
    cancelled: Cancelled,
) -> Placement:
    """Make the picture of a prompt as the peers do: generate, check, keep."""
    prompt = Prompt.of(message_id, match)
    task = Task.requested(prompt, session_id=message_id, owner=None, priority=3, at=0)
    made = generator.generate(task, cancelled)
    picture = check_picture(
        made.data, max_bytes=settings.max_picture_bytes, max_pixels=settings.max_picture_pixels
    )
    picture = store.keep(task, made.data, picture)
    return Placement(
        prompt_id=prompt.id,
        prompt=prompt.text,
        picture=picture,
        task_id=task.id,
        ordinal=prompt.ordinal,
    )
