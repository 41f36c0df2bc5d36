"""The event log on a real disk, full or cut."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from limner.actors import Settings, Studio
from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.messages.errors import SettingsInvalid

FULL_DISK = """
import resource, signal, sys
from limner.actors import Settings, Studio
from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.messages.events.protocol import Unsubscribe

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
settings = Settings(events=sys.argv[1])
with Studio.open(settings, store=MemoryStore(), generator=Instant()) as studio:
    written = lambda: studio._log.recorder.ask(Unsubscribe(outlet=None))
    text = '<!--img-prompt="a"-->'
    studio.illustrate("before", text).get(timeout=60)
    written()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, hard))
    for number in range(3):
        studio.illustrate(f"full-{number}", text).get(timeout=60)
        written()
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    studio.illustrate("after", text).get(timeout=60)
"""


def lines(path):
    for line in path.read_bytes().splitlines():
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:
            yield None


def test_a_full_disk_is_a_gap_that_the_log_names_and_no_failure(tmp_path):
    path = tmp_path / "events.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    events = [event for event in lines(path) if event is not None]
    assert {event.get("message_id") for event in events} >= {"before", "after"}
    expected = 1
    gaps = 0
    for event in events:
        if event["event"] == "events_lost":
            # what was written of a commit that failed may stand in the gap that is named
            assert event["first"] <= expected <= event["seq"]
            assert event["last"] == event["seq"] - 1
            gaps += 1
            expected = event["seq"]
        assert event["seq"] == expected
        expected += 1
    assert gaps >= 1
    assert events[-1]["event"] == "studio_closed"
    told = [line for line in done.stderr.splitlines() if "event log" in line]
    assert ["cannot be written" in line for line in told] == [True, False]
    assert "is written again" in told[1]


def test_a_log_whose_last_line_was_cut_goes_on_on_a_line_of_its_own(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"seq": 1, "event": "studio_op')
    with Studio.open(Settings(events=path), store=MemoryStore(), generator=Instant()):
        pass
    first, *rest = lines(path)
    assert first is None
    assert [event["event"] for event in rest] == ["studio_opened", "lane_opened", "studio_closed"]
    assert [event["seq"] for event in rest] == [1, 2, 3]


def test_a_log_that_cannot_be_opened_is_refused_in_one_line(tmp_path):
    with pytest.raises(SettingsInvalid, match="events: cannot write to .*directory"):
        Studio.open(Settings(events=tmp_path), store=MemoryStore(), generator=Instant())


@pytest.mark.parametrize(
    "content",
    [
        b"my notes",
        b'{"user_name": "You", "chat_metadata": {}}\n{"mes": "x"}\n',
        b"\x89PNG\r\n\x1a\n",
        b"SQLite format 3\0",
        b'{"event": "x"}\n',
        b" ",
        b"[1]\n",
    ],
)
def test_a_file_that_holds_something_else_is_no_log(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(SettingsInvalid, match=r"notes.txt' holds something else than events"):
        Studio.open(Settings(events=path), store=MemoryStore(), generator=Instant())
    assert path.read_bytes() == content


def test_the_database_is_no_log(tmp_path):
    path = tmp_path / "chat.db"
    with pytest.raises(SettingsInvalid, match="holds something else than events"):
        Studio.open(Settings(store=f"sqlite:///{path}", events=path))


@pytest.mark.parametrize(
    "content", [b"", b"\n", b'{"seq":1', b'{"seq":1,"t":0.0,"eve\n{"seq": 2}\n']
)
def test_a_log_that_a_full_disk_has_cut_is_appended_to(tmp_path, content):
    path = tmp_path / "events.jsonl"
    path.write_bytes(content)
    for _ in range(2):
        with Studio.open(Settings(events=path), store=MemoryStore(), generator=Instant()):
            pass
    names = [event["event"] for event in lines(path) if event and "event" in event]
    assert names.count("studio_opened") == 2


def test_an_event_has_its_time_in_microseconds_and_who_said_it(open_simulated):
    one = open_simulated()
    one.let_pass(86_400)
    one.studio.illustrate("m", '<!--img-prompt="a \\"b\\" \\u2028 <c>"-->').get()
    (granted,) = one.events("slot_granted")
    assert list(granted)[:8] == [
        "seq",
        "t",
        "at",
        "actor",
        "session_id",
        "message_id",
        "task_id",
        "event",
    ]
    assert granted["actor"] == "limiter"
    assert granted["t"] == round(granted["t"], 6)
    assert 86_400 <= granted["t"] < 86_402
    wall = datetime.fromisoformat(granted["at"]) - datetime(2026, 1, 1, tzinfo=UTC)
    assert wall == timedelta(microseconds=round(granted["t"] * 1_000_000))
