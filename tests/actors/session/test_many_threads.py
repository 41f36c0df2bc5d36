"""Many host threads at once: what the simulation cannot show."""

import random
import re
import threading
from io import BytesIO

import pytest
from PIL import Image

from limner.actors.stores import MemoryStore
from limner.messages import PictureBytes, Prompt, find_prompts
from limner.messages.ids import picture_id

HOSTS, MESSAGES, SLOTS = 32, 200, 4
CONSTANT = 8
"""Timer, watcher, four for the store, one of a subscriber, and one dispatcher thread to spare."""

MARK = re.compile(r'<img data-limner="([0-9a-f]{20}):([0-9a-f]{32})"[^>]*>')


def picture_of(prompt):
    """Return a picture that no other prompt has."""
    digits = random.Random(prompt).randbytes(12)
    file = BytesIO()
    Image.frombytes("RGB", (2, 2), digits).save(file, "png")
    return file.getvalue()


def text_of(name):
    parts = [f"{name} begins. "]
    for number in range(3):
        parts += [f'<!--img-prompt="{name}, {number % 2}"-->', f" Part {number} of it. "]
    return "".join(parts)


class Counting(MemoryStore):
    def __init__(self):
        super().__init__()
        self.writes = []

    def write(self, message_id, text, **kwargs):
        version = super().write(message_id, text, **kwargs)
        self.writes.append(message_id)
        return version


@pytest.mark.long
def test_many_host_threads_at_once(open_studio, capsys):
    store = Counting()
    one = open_studio(
        store=store,
        generator=lambda task, cancelled: PictureBytes(data=picture_of(task.prompt)),
        slots=SLOTS,
        deadline=600,
    )
    before = threading.active_count()
    done, most, failed = threading.Event(), [0], []

    def sample():
        while not done.wait(0.002):
            most[0] = max(most[0], threading.active_count())

    def host(number):
        drawn = random.Random(number)
        try:
            names = [f"m{number}.{index}" for index in range(MESSAGES)]
            for begin in range(0, MESSAGES, 20):  # twenty at a time, interleaved
                open_ones = {
                    name: (one.studio.stream(name), text_of(name))
                    for name in names[begin : begin + 20]
                }
                futures = []
                while open_ones:
                    name = drawn.choice(list(open_ones))
                    stream, rest = open_ones[name]
                    size = drawn.randint(1, 40)
                    stream.feed(rest[:size])
                    open_ones[name] = stream, rest[size:]
                    if len(rest) <= size:
                        futures.append(stream.finish())
                        del open_ones[name]
                for future in futures:
                    assert len(future.get(timeout=600).pictures) == 3
        except BaseException as error:
            failed.append(error)
            raise

    sampler = threading.Thread(target=sample)
    hosts = [threading.Thread(target=host, args=(number,)) for number in range(HOSTS)]
    for thread in (sampler, *hosts):
        thread.start()
    for thread in hosts:
        thread.join()
    dispatchers = one.studio._system.dispatcher.threads
    done.set()
    sampler.join()
    assert failed == []

    wanted = {f"m{host}.{index}" for host in range(HOSTS) for index in range(MESSAGES)}
    assert sorted(store.writes) == sorted(wanted)
    for name in wanted:
        text, _ = store.load(name)
        matches = find_prompts(text)
        assert len(matches) == 3
        for match in matches:
            mark = MARK.match(text, match.end)
            assert mark[1] == Prompt.of(name, match).id
            assert mark[2] == picture_id(picture_of(match.text))
        assert MARK.sub("", text) == text_of(name)
    own = most[0] - before - HOSTS - 1
    assert own <= SLOTS + dispatchers + CONSTANT
    with capsys.disabled():
        print(
            f"\n{HOSTS} host threads, {len(wanted)} messages, {3 * len(wanted)} pictures: "
            f"{own} threads of the studio at most ({SLOTS} slots, {dispatchers} dispatching), "
            f"{one.studio.status().dead_letters} dead letters"
        )
