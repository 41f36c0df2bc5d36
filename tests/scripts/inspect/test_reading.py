"""Reading a log: whatever stands in the file, in bounded memory, and what is passed over."""

import os
import threading
import tracemalloc

import orjson
import pytest

from limner.messages.events import record
from limner.scripts.inspect import reading
from limner.scripts.inspect.reading import LogReader, LogUnusable

GOOD = b'{"seq":1,"t":0.25,"event":"studio_opened"}'


def log(tmp_path, content):
    path = tmp_path / "events.jsonl"
    path.write_bytes(content)
    return path


def counted(reader):
    return [*reader], (reader.lines, reader.runs, reader.foreign, reader.cut)


@pytest.mark.parametrize(
    ("tail", "counts"),
    [
        (b"\n", (1, 1, 0, False)),
        (b"", (1, 1, 0, False)),
        (b"\r\n\n \n", (1, 1, 0, False)),
        (b'\n{"seq": 2, "t": 0', (2, 1, 0, True)),
        (b'\n{"seq": 2, "t": 0\n', (2, 1, 1, False)),
        (b"\n[1]", (2, 1, 1, False)),
        (b"\nhello\n\xff\xfe\n\0\0\n", (4, 1, 3, False)),
        (b"\n" + GOOD + b'\n{"seq":true,"t":1,"event":""}\n', (3, 2, 1, False)),
    ],
)
def test_what_is_passed_over_is_counted(tmp_path, tail, counts):
    events, found = counted(LogReader(log(tmp_path, GOOD + tail)))
    assert found == counts
    assert all(event == orjson.loads(GOOD) for event in events)
    assert len(events) == counts[0] - counts[2] - counts[3]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"\x7fELF\0\0\0" * 100, "is a binary file"),
        ("text".encode("utf-16"), "is a binary file"),
        (b"# A title\n\nA text.\n", "none of its 2 lines is an event"),
        (b'{"seq": 1, "t"', "none of its 1 lines is an event"),
    ],
)
def test_what_is_no_log_gets_one_clear_line(tmp_path, content, says):
    with pytest.raises(LogUnusable, match=says) as raised:
        list(LogReader(log(tmp_path, content)))
    assert "\n" not in str(raised.value)


def test_a_missing_file_and_a_directory_get_one_clear_line(tmp_path):
    with pytest.raises(LogUnusable, match="No such file"):
        LogReader(tmp_path / "none")
    with pytest.raises(LogUnusable, match="is a directory"):
        LogReader(tmp_path)
    with pytest.raises(LogUnusable, match="null"):
        LogReader(tmp_path / "a\0b")


def test_the_blocks_of_a_file_cut_no_line(tmp_path, monkeypatch):
    lines = [
        orjson.dumps({"seq": seq, "t": seq, "event": "x" * (seq % 40)}) for seq in range(1, 200)
    ]
    path = log(tmp_path, b"\n".join(lines))
    for block in (1, 7, 64, 4_096):
        monkeypatch.setattr(reading, "BLOCK", block)
        assert [event["seq"] for event in LogReader(path)] == [*range(1, 200)]


def test_a_line_that_is_too_long_is_foreign_and_what_follows_is_read(tmp_path, monkeypatch):
    for module in (reading, record):
        monkeypatch.setattr(module, "MAX_LINE", 1_000)
    monkeypatch.setattr(reading, "BLOCK", 100)
    long = b'{"seq":2,"t":0,"event":"' + b"x" * 5_000 + b'"}'
    path = log(tmp_path, b"\n".join([GOOD, long, GOOD, long]))
    events, counts = counted(LogReader(path))
    assert len(events) == 2
    assert counts == (4, 2, 2, False)


def test_a_line_without_end_is_read_in_bounded_memory(tmp_path):
    path = tmp_path / "events.jsonl"
    with path.open("wb") as file:
        file.write(GOOD + b"\n")
        for _ in range(100):
            file.write(b"x" * 2**20)
        file.write(b"\n" + GOOD)
    tracemalloc.start()
    events, counts = counted(LogReader(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(events), counts) == (2, (3, 2, 1, False))
    assert peak < 60 * 2**20


def test_progress_is_told_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BLOCK", 100)
    path = log(tmp_path, (GOOD + b"\n") * 50)
    told = []
    list(LogReader(path, progress=lambda *both: told.append(both)))
    size = path.stat().st_size
    assert told[-1] == (size, size)
    assert [done for done, _ in told] == [*range(100, size, 100), size]


def test_a_pipe_is_read_once(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(GOOD + b"\n" + GOOD))
    writer.start()
    events, counts = counted(LogReader(path))
    writer.join()
    assert (len(events), counts) == (2, (2, 2, 0, False))
