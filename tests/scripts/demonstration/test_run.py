"""The demo as a person runs it: in a terminal or a pipe, to its end or to a Ctrl-C."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from heapq import heapreplace
from pathlib import Path

import pytest
from support.command_line import reset_signals

from limner.scripts.demonstration.run import RATE, SLOTS
from limner.scripts.demonstration.slow_sketch import SLOWEST, seconds

ROOT = Path(__file__).resolve().parents[3]
STORY = ROOT / "scripts/stories/lighthouse.md"
DEMO = [sys.executable, "-m", "limner.scripts.demonstration.run"]
TAG = re.compile(r'<(?:!--)?img-prompt="((?:\\.|[^"\\])*)"(?:--)?>')
TERMINAL = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}


def environment(**more):
    names = ("NO_COLOR", "COLUMNS", "LINES", "PYTHONUNBUFFERED", "PYTHONIOENCODING", "PYTHONUTF8")
    return {name: value for name, value in os.environ.items() if name not in names} | more


@pytest.fixture
def short(tmp_path):
    """A story of a moment."""
    story = tmp_path / "short.md"
    words = "and so it was that the lamp burned on until the gulls got up from the rail"
    story.write_text(
        f'# Short\n\nOne. <!--img-prompt="a lighthouse"--> Then {words}.\n'
        f'\nTwo. <img-prompt="the sea"> Then the end of it.\n'
    )
    return str(story)


def piped(out, *arguments, story=str(STORY), **more):
    done = subprocess.run(
        [*DEMO, story, str(out), *arguments],
        check=False,
        capture_output=True,
        env=environment(**more),
        timeout=120,
    )
    assert b"Traceback" not in done.stderr
    return done


def in_terminal(story, out, *arguments, columns=100, rows=40, **more):
    """Run the demo in a terminal, and return its status and all that was written to it."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    with subprocess.Popen(
        [*DEMO, story, str(out), *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(**{**TERMINAL, **more}),
    ) as process:
        os.close(slave)
        written = bytearray()
        try:
            while block := os.read(master, 65_536):
                written += block
        except OSError:
            pass  # how a terminal of Linux ends
        finally:
            os.close(master)
    return process.returncode, written.decode()


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    return out, piped(out, "--fast")


def test_a_pipe_gets_the_story_in_plain_lines_with_what_happens(fast):
    _, done = fast
    text = done.stdout.decode()
    assert done.returncode == 0
    assert done.stderr == b""
    assert "\x1b" not in text
    assert "\r" not in text
    for line in STORY.read_text("utf-8").splitlines():
        assert f"{line}\n" in text
    number = len(TAG.findall(STORY.read_text("utf-8")))
    for what in ("found", "drawing", "drawn"):
        assert len(re.findall(rf"^    \[{what} ", text, re.MULTILINE)) == number
    assert f"{number} pictures in " in text


def test_the_page_is_named_last_and_has_all_in_it(fast):
    out, done = fast
    last = done.stdout.decode().splitlines()[-1]
    assert last == f"Open in a browser: {out / 'lighthouse.html'}"
    page = (out / "lighthouse.html").read_text("utf-8")
    number = len(TAG.findall(STORY.read_text("utf-8")))
    assert page.count('src="data:image/png;base64,') == number
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)
    assert "<script" not in page
    for name in ("lighthouse.md", "pictures/", "events.jsonl", "lighthouse.html"):
        assert f"  {name} " in done.stdout.decode()
        assert (out / name).exists()


def test_a_demo_clears_away_what_an_earlier_one_left_and_nothing_else(tmp_path, short):
    out = tmp_path / "out"
    pictures = out / "pictures"
    pictures.mkdir(parents=True)
    for name in ("mine.txt", "pictures/mine.jpg", "pictures/old.png", "short.html"):
        (out / name).write_text("old")
    (out / "events.jsonl").write_text("{}\n")
    assert piped(out, "--fast", story=short).returncode == 0
    assert (out / "mine.txt").read_text() == (pictures / "mine.jpg").read_text() == "old"
    assert not (pictures / "old.png").exists()
    first = len(list(pictures.iterdir()))
    assert piped(out, "--fast", story=short).returncode == 0
    assert len(list(pictures.iterdir())) == first
    log = [json.loads(line) for line in (out / "events.jsonl").read_text("utf-8").splitlines()]
    assert [event["event"] for event in log].count("studio_opened") == 1


def test_a_wrong_use_gets_one_line(tmp_path):
    done = piped(tmp_path, "--quick")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"--quick" in done.stderr
    (tmp_path / "file").touch()
    done = piped(tmp_path / "file" / "out", "--fast")
    assert done.returncode == 1
    assert done.stderr.startswith(b"limner: ")
    assert done.stderr.count(b"\n") == 1


def test_a_reader_that_goes_does_not_stop_the_demo(tmp_path, short):
    with subprocess.Popen(
        [*DEMO, short, str(tmp_path / "out"), "--fast"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert (tmp_path / "out/short.html").exists()


@pytest.mark.parametrize("columns", [40, 100, 230])
def test_a_terminal_gets_thumbnails_and_the_slots(tmp_path, short, columns):
    status, written = in_terminal(short, tmp_path / "out", "--fast", columns=columns)
    assert status == 0
    assert "\u2580" in written
    assert "\x1b[38;2;" in written
    for part in ("slot 1", "slot 2", "queue", "2 pictures in "):
        assert part in written
    assert written.count("\x1b[?2026h") == written.count("\x1b[?2026l") > 1
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") == 1  # the cursor is back
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written)
    flat = " ".join(plain.split())
    assert "gulls" in flat
    assert "the end of it." in flat


@pytest.mark.parametrize(
    "more",
    [
        {"TERM": "dumb"},
        {"NO_COLOR": "1"},
        {"TERM": "xterm", "COLORTERM": ""},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"columns": 30},
        {"rows": 10},
    ],
)
def test_a_terminal_that_cannot_show_thumbnails_gets_plain_lines(tmp_path, short, more):
    status, written = in_terminal(short, tmp_path / "out", "--fast", **more)
    assert status == 0
    assert "\u2580" not in written
    assert "\x1b" not in written
    assert "[drawn   a lighthouse, " in written


def test_a_ctrl_c_ends_with_what_is_finished(tmp_path):
    with subprocess.Popen(
        [*DEMO, str(STORY), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=reset_signals,  # noqa: PLW1509
    ) as process:
        for line in process.stdout:
            if b"[drawn " in line:
                process.send_signal(signal.SIGINT)
                break
        rest, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in error
    assert b"interrupted: writing what is finished" in rest
    assert rest.splitlines()[-1].endswith(b"lighthouse.html")
    text = (tmp_path / "lighthouse.md").read_text("utf-8")
    assert "# The Last Oil" in text
    assert "](pictures/" in text or 'src="pictures/' in text
    assert "gulls got up from the rail" not in text
    assert "data:image/png" in (tmp_path / "lighthouse.html").read_text("utf-8")


def test_slots_queue_and_overlap_are_seen_and_it_takes_less_than_a_minute():
    story = STORY.read_text("utf-8")
    free = [0.0] * SLOTS
    waited = overlapped = alone = 0
    for tag in TAG.finditer(story):
        found = tag.end() / RATE
        begins = max(found, free[0])
        waited += begins - found > 0.3
        overlapped += max(free) - begins > 0.3
        alone += max(free) <= found
        heapreplace(free, begins + seconds(tag[1].replace('\\"', '"')))
    assert waited >= 2
    assert overlapped >= 4
    assert alone >= 3
    assert RATE <= 90
    assert max(free) <= len(story) / RATE + SLOWEST < 55
