"""The live view: of a log that grows, is cut short, is replaced, or is not there yet."""

import io
import threading
from contextlib import closing

import orjson
import pytest
from rich.console import Console

from limner.scripts.inspect import follow as follow_module
from limner.scripts.inspect.follow import Tail, Watch, follow, line


def lines(*names, start=1):
    return b"".join(
        orjson.dumps({"seq": seq, "t": seq, "event": name, "message_id": "m"}) + b"\n"
        for seq, name in enumerate(names, start)
    )


def read(tail):
    events = []
    while (more := tail.read()) is not None:
        events += more
    return [event["event"] for event in events]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events"


@pytest.fixture
def tail(path):
    with closing(Tail(path)) as tail:
        yield tail


def test_a_line_is_read_when_it_has_its_end(path, tail):
    assert tail.read() is None
    assert not tail.there
    whole = lines("studio_opened", "lane_opened")
    path.write_bytes(whole[:-5])
    assert read(tail) == ["studio_opened"]
    with path.open("ab") as file:
        file.write(whole[-5:] + b"foreign\n\n")
    assert read(tail) == ["lane_opened"]
    assert tail.foreign == 1
    assert not tail.began_anew


def test_a_log_that_is_cut_short_is_begun_anew(path, tail):
    path.write_bytes(lines("a", "b", "c"))
    assert read(tail) == ["a", "b", "c"]
    path.write_bytes(lines("d"))
    assert read(tail) == ["d"]
    assert tail.began_anew == "it was cut short"


def test_a_log_that_is_replaced_is_read_to_its_end_and_the_new_one_from_its_beginning(path, tail):
    path.write_bytes(lines("a"))
    assert read(tail) == ["a"]
    with path.open("ab") as old:
        path.rename(path.with_suffix(".1"))
        old.write(lines("b"))
    path.write_bytes(lines("c"))
    assert read(tail) == ["b", "c"]
    assert tail.began_anew == "it was replaced"


def test_a_log_that_went_away_is_waited_for(path, tail):
    path.write_bytes(lines("a"))
    assert read(tail) == ["a"]
    path.unlink()
    assert tail.read() is None
    assert not tail.there
    path.write_bytes(lines("b"))
    assert read(tail) == ["b"]
    assert tail.began_anew


def test_a_line_that_is_too_long_is_passed_over(path, tail, monkeypatch):
    monkeypatch.setattr(follow_module, "MAX_LINE", 1_000)
    monkeypatch.setattr(follow_module, "BLOCK", 100)
    path.write_bytes(lines("a") + lines("x" * 5_000) + lines("b"))
    assert read(tail) == ["a", "b"]
    assert tail.foreign == 1


def followed(path, *steps):
    """Follow a log, one step each time that there is nothing new, and be interrupted."""
    left = iter(steps)

    def wait(seconds):
        assert 0 < seconds < 1
        step = next(left, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    with pytest.raises(KeyboardInterrupt):
        follow(path, wait=wait)


def test_a_pipe_gets_the_last_lines_and_then_each_new_one(path, capsys):
    path.write_bytes(lines("studio_opened", *(f"old_{n}" for n in range(50))))

    def more():
        with path.open("ab") as file:
            file.write(lines("session_opened", "new_one", start=52))

    followed(path, more, lambda: path.write_bytes(lines("other")))
    out = capsys.readouterr().out
    assert "old_39" not in out
    assert out.index("old_40") < out.index("old_49") < out.index("0 messages live")
    assert out.index("messages live") < out.index("new_one") < out.index("cut short")
    assert "other" in out[out.index("cut short") :]


def test_a_log_that_appears_later_is_told_from_its_first_line(path, capsys):
    new = lines("studio_opened", *(f"new_{n}" for n in range(50)))
    followed(path, lambda: None, lambda: path.write_bytes(new))
    out = capsys.readouterr().out
    assert out.count("waiting for it to appear") == 1
    assert all(f"new_{n} " in out for n in range(50))


def test_a_terminal_shows_what_is_live(path):
    watch = Watch("log")
    for seq, (name, fields) in enumerate(
        [
            ("studio_opened", {}),
            ("lane_opened", {"lane": "image", "max_concurrent": 3}),
            ("session_opened", {"session_id": "s"}),
            ("slot_requested", {"lane": "image", "request_id": "r"}),
            ("slot_granted", {"lane": "image", "request_id": "r", "slot_id": "1", "weight": 1}),
            ("slot_requested", {"lane": "image", "request_id": "q"}),
            (
                "prompt_detected",
                {"session_id": "s", "task_id": "t", "prompt": "a \x1b[2J[red]door"},
            ),
        ],
        1,
    ):
        watch.feed({"seq": seq, "t": 0, "event": name, **fields})
    console = Console(file=io.StringIO(), width=110, markup=False, emoji=False, highlight=False)
    console.print(watch.render())
    text = console.file.getvalue()
    assert "1 message live · 1 picture under way · slots out: image 1 of 3 · 1 waiting" in text
    assert "a [red]door" in text
    assert "\x1b" not in text
    watch.feed({"seq": 1, "t": 0, "event": "studio_opened"})
    assert watch.counts().startswith("0 messages live")


def test_the_live_view_names_the_lanes_that_there_are_and_how_they_are():
    watch = Watch("log")
    for seq, (t, name, fields) in enumerate(
        [
            (0, "studio_opened", {}),
            (0, "lane_opened", {"lane": "image", "max_concurrent": 3}),
            (0, "lane_opened", {"lane": "host:a", "max_concurrent": None}),
            (0, "lane_opened", {"lane": "host:b", "max_concurrent": 1}),
            (1, "slot_requested", {"lane": "host:a", "request_id": "r-1"}),
            (1, "slot_requested", {"lane": "image", "request_id": "r-1~1"}),
            (1, "lane_paused", {"lane": "image", "seconds": 2.5, "reason": "it asked for it"}),
            (1, "circuit_open", {"lane": "host:a", "failures": 3}),
            (2, "lane_dropped", {"lane": "host:b"}),
        ],
        1,
    ):
        told = watch.feed({"seq": seq, "t": t, "event": name, **fields})
        if name == "lane_paused":
            assert told.endswith("lane_paused  lane=image  seconds=2.5  reason=it asked for it")
    lanes = "image 0 of 3 (paused), host:a 0 of any (resting)"
    assert watch.counts().endswith(f"slots out: {lanes} · 1 waiting")


def test_a_line_of_the_live_view_is_printable_whatever_the_event_holds():
    hostile = {"message_id": "\x1b]0;x\x07m\n", "reason": ["a"], "prompt": 7, "slot_id": "\x9b2J"}
    told = line({"seq": 1, "t": 1, "event": "a\r\nb", **hostile})
    assert told.isprintable()
    assert "m" in told


def test_a_log_that_is_written_meanwhile_is_read_whole(path, tail):
    events, done = [], threading.Event()

    def write():
        with path.open("ab", buffering=0) as file:
            for seq in range(1, 3_001):
                whole = lines("x", start=seq)
                file.write(whole[:9])
                file.write(whole[9:])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while True:
        over = done.is_set()
        more = tail.read()
        events += more or []
        if over and more is None:
            break
    writer.join()
    assert [event["seq"] for event in events] == [*range(1, 3_001)]
