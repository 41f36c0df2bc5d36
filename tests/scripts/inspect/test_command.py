"""The command as it is used: its output, its exit statuses, real processes and a terminal."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from limner.actors import Settings, Studio
from limner.actors.generators import Instant
from limner.actors.stores import MemoryStore
from limner.scripts.inspect import command
from limner.scripts.inspect.command import inspect

WAIT = 60
CODE = """
import sys
from pathlib import Path
from limner.scripts.inspect.command import inspect
options = {one: True for one in sys.argv[2:]}
sys.exit(inspect(Path(sys.argv[1]), **options))
"""


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "events.jsonl"
    with Studio.open(Settings(events=path), store=MemoryStore(), generator=Instant()) as studio:
        for name in ("msg-1", "msg-2"):
            text = f'<!--img-prompt="a door of {name}"-->'
            studio.illustrate(name, text).get(timeout=WAIT)
    return path


def events(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def started(path, *options, **streams):
    return subprocess.Popen(
        [sys.executable, "-c", CODE, str(path), *options],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(  # noqa: PLW1509
            signal.SIGINT,
            signal.default_int_handler,  # which a shell's & may have had ignored
        ),
        **streams,
    )


def test_a_log_is_summed_up(log, capsys):
    assert inspect(log) == 0
    out, err = capsys.readouterr()
    assert "2 written" in out
    assert "2 completed" in out
    assert not err


def test_a_log_that_holds_passes_and_what_was_passed_over_is_told(log, capsys):
    with log.open("ab") as file:
        file.write(b'hello\n{"seq": 99, "t"')
    assert inspect(log, check=True) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith("passed: I1 to I8 and I13 to I22 hold for ")
    assert out[1:] == ["passed over: 1 foreign line and the last line, which was cut"]


def test_each_violation_is_a_line_with_the_numbers_that_prove_it(log, capsys):
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(line for line in lines if b'"session_ended"' not in line))
    assert inspect(log, check=True) == 1
    out = capsys.readouterr().out.splitlines()
    opened = [one["seq"] for one in events(log) if one["event"] == "session_opened"]
    closed = events(log)[-1]["seq"]
    ends = [line for line in out if line.startswith("I1 ")]
    assert all(f"(seq {seq}, {closed})" in line for seq, line in zip(opened, ends, strict=True))
    assert re.fullmatch(r"failed: \d violations of I1, I8 in \d+ events of 1 run", out[-1])


def test_what_was_open_is_told_of_a_run_that_was_killed(log, capsys):
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:3]))
    assert inspect(log, check=True) == 0
    assert "open at the end: 1 session\n" in capsys.readouterr().out


def test_a_story_is_told_of_a_message_and_of_a_task(log, capsys):
    assert inspect(log, message="msg-2") == 0
    out = capsys.readouterr().out
    assert "a door of msg-2" in out
    assert "msg-1" not in out
    task = next(one["task_id"] for one in events(log) if "task_id" in one)
    assert inspect(log, task=task) == 0
    assert "a door of msg-1" in capsys.readouterr().out


def test_an_unknown_id_gets_one_line_with_the_closest(log, capsys):
    assert inspect(log, message="msg-12\x1b[2J") == 1
    out, err = capsys.readouterr()
    assert not out
    assert err == "limner: the log has no message msg-12; it has msg-2, msg-1\n"
    assert inspect(log, task="none at all") == 1
    assert capsys.readouterr().err == "limner: the log has no task none at all\n"


@pytest.mark.parametrize("option", [{}, {"check": True}, {"message": "m"}, {"trace": Path("x")}])
@pytest.mark.parametrize("content", [b"", b"\0\1\2" * 999, b"# text\n"])
def test_an_unusable_log_gets_one_line_and_status_two(tmp_path, option, content, capsys):
    path = tmp_path / "log"
    path.write_bytes(content)
    if "trace" in option:
        option = {"trace": tmp_path / "trace.json"}
    assert inspect(path, **option) == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("limner: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", [{}, {"check": True}, {"follow": True}])
def test_a_directory_gets_one_line_and_status_two(tmp_path, option, capsys):
    assert inspect(tmp_path, **option) == 2
    assert capsys.readouterr().err.endswith("is a directory; name an event log\n")


def test_options_that_exclude_each_other_get_one_line_and_status_two(log, capsys):
    assert inspect(log, check=True, message="m", follow=True) == 2
    err = capsys.readouterr().err
    assert (
        err == "limner: --message and --check and --follow exclude each other: give one of them\n"
    )


def test_a_file_is_written_but_never_over_the_log(log, tmp_path, capsys):
    before = log.read_bytes()
    link = tmp_path / "link"
    link.symlink_to(log)
    for path in (log, link):
        assert inspect(log, trace=path) == 2
        assert inspect(log, html=path) == 2
        assert "is the log itself" in capsys.readouterr().err
    assert log.read_bytes() == before

    def writer(reader, path):
        path.write_text(str(len(list(reader))))
        return "wrote\x1b[2J it"

    assert command.write(log, tmp_path / "new", writer) == 0
    assert (tmp_path / "new").read_text() == str(len(events(log)))
    assert capsys.readouterr().out == "wrote it\n"
    assert command.write(log, tmp_path / "no" / "new", writer) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err


def test_ctrl_c_and_a_wish_to_terminate_end_the_live_view_cleanly(log):
    for number in (signal.SIGINT, signal.SIGTERM):
        with started(log, "follow", stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            while b"messages live" not in process.stdout.readline():
                pass
            with log.open("ab") as file:
                file.write(b'{"seq":99,"t":1,"event":"brand_new"}\n')
            while b"brand_new" not in process.stdout.readline():
                pass
            process.send_signal(number)
            assert process.wait(WAIT) == 130
            assert process.stderr is not None
            assert not process.stderr.read()


def test_a_terminal_gets_a_live_view_and_its_cursor_back(log):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    with started(log, "follow", stdout=theirs, env=environment) as process:
        os.close(theirs)
        seen = b""
        while b"messages live" not in seen:
            seen += os.read(ours, 4_096)
        assert b"\x1b[?25l" in seen
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT) == 130
        while b"\x1b[?25h" not in seen:
            seen += os.read(ours, 4_096)
    os.close(ours)


def test_who_reads_no_further_ends_it_without_a_traceback(log, tmp_path):
    many = tmp_path / "many"
    many.write_bytes(log.read_bytes().replace(b'"seq":3,', b'"seq":4,') * 3_000)
    with started(many, "check", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        error = process.stderr.read()
        assert process.wait(WAIT) != 0
    assert b"Traceback" not in error


def test_a_bar_is_shown_on_a_terminal_and_only_there(log):
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    code = [sys.executable, "-c", CODE, str(log), "check"]
    done = subprocess.run(
        code, stdout=subprocess.PIPE, stderr=theirs, env=environment, timeout=WAIT, check=False
    )
    os.close(theirs)
    seen = b""
    try:
        while more := os.read(ours, 4_096):
            seen += more
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert b"\xe2\x94\x81" in seen
    assert done.stdout.startswith(b"passed: ")
    assert done.returncode == 0
