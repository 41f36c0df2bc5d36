"""What came through a pipe cannot be read again: whatever happens, it is written."""

import os
import pty
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import command_line
from support.command_line import clear_environment, end_of, wait_for

from limner.messages.errors import StreamClosed
from limner.scripts.app import run
from limner.scripts.pipes import PipedText, save, version_at
from limner.scripts.reading import Source, Unusable

MARK = re.compile(r'(?:\r?\n)?!\[[^]]*\]\(([^)]*)\)<!--data-limner="[^"]*"-->')
TAG = '<!--img-prompt="a lamp"-->'
TEXT = f"One {TAG} two {TAG} three"

started = partial(command_line.started, "illustrate")


@contextmanager
def standard_input(data: bytes | Callable[[int], object]) -> Iterator[None]:
    """Make standard input a pipe, and write to it on a thread of its own."""
    reading, writing = os.pipe()

    def write() -> None:
        if isinstance(data, bytes):
            with os.fdopen(writing, "wb") as file:
                file.write(data)
        else:
            data(writing)
            os.close(writing)

    before = os.dup(0)
    os.dup2(reading, 0)
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield
        writer.join()
    finally:
        os.dup2(before, 0)
        for descriptor in (before, reading):
            os.close(descriptor)


def illustrated(*arguments: str, text: bytes | Callable[[int], object]) -> int:
    """Run `limner illustrate -` on a text that comes through a pipe; return the exit status."""
    with standard_input(text):
        return run(["illustrate", "-", *arguments])


def until(told: Any, words: str) -> None:
    """Wait until standard error has some words."""
    said = ""
    while words not in said:
        said += told.readouterr().err


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty working folder, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    clear_environment(monkeypatch)
    monkeypatch.setenv("LIMNER_GENERATOR", "instant")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def plain(file: str) -> str:
    """Return a text that was illustrated, without its pictures."""
    return MARK.sub("", Path(file).read_text())


# bytes that are no text


@given(st.lists(st.binary(max_size=6) | st.text().map(str.encode)), st.integers(1, 7))
def test_each_byte_of_a_pipe_is_read_or_replaced(parts: list[bytes], cut: int) -> None:
    data = b"".join(parts)
    reading, writing = os.pipe()
    source = Source(reading, "a pipe")
    chunks = source.chunks()
    read = ""
    for start in range(0, len(data), cut):
        os.write(writing, data[start : start + cut])
        pending = next(chunks, "") if _whole(data[: start + cut], read) else ""
        read += pending
    os.close(writing)
    read += "".join(chunks)
    os.close(reading)
    assert read == data.decode(errors="replace")
    replaced = read.count("\ufffd") - data.count("\ufffd".encode())
    assert (source.invalid[0] if source.invalid else 0) == replaced


def _whole(data: bytes, read: str) -> bool:
    """Return whether some text can be read that was not read yet."""
    import codecs

    return len(codecs.utf_8_decode(data, "replace", False)[0]) > len(read)


def test_bytes_that_are_not_utf_8_are_replaced_and_told_once(capfd) -> None:
    source = TEXT.encode() + b" \xff\xfe caf\xe9" + " �".encode()
    assert illustrated("-o", "out.md", text=source) == 0
    assert plain("out.md") == source.decode(errors="replace")
    at = f"byte 0xff at offset {len(TEXT) + 1}"
    told = f"standard input: 3 bytes that are not UTF-8 were replaced by U+FFFD; the first: {at}"
    assert capfd.readouterr().err.count(told) == 1


def test_a_character_that_is_cut_at_the_end_is_replaced(capfd) -> None:
    assert illustrated(text=TEXT.encode() + "😀".encode()[:-1]) == 0
    captured = capfd.readouterr()
    assert MARK.sub("", captured.out) == TEXT + "�"
    assert "1 byte that is not UTF-8 was replaced" in captured.err


def test_a_named_pipe_is_a_pipe_and_a_file_is_none(capfd) -> None:
    os.mkfifo("fifo")
    writer = threading.Thread(target=Path("fifo").write_bytes, args=[b"a\xff"])
    writer.start()
    assert run(["illustrate", "fifo", "-o", "out.md", "-q"]) == 0
    writer.join()
    assert plain("out.md") == "a�"
    assert capfd.readouterr().err.count("\n") == 1
    Path("file.md").write_bytes(b"a\xff")
    assert run(["illustrate", "file.md", "-o", "two.md"]) == 2
    assert not Path("two.md").exists()


# what ends a session


@pytest.mark.parametrize("output", [["-o", "out.md"], []])
@pytest.mark.parametrize("limit", [1, 20, 40, len(TEXT) - 1])
def test_a_text_past_max_text_is_written_whole(output, limit, monkeypatch, capfd) -> None:
    monkeypatch.setenv("LIMNER_MAX_TEXT", str(limit))
    assert illustrated(*output, text=TEXT.encode()) == 3
    captured = capfd.readouterr()
    written = Path("out.md").read_text() if output else captured.out
    assert MARK.sub("", written) == TEXT
    assert len(MARK.findall(written)) == TEXT[:limit].count(TAG)
    assert f"more than the {limit} characters" in captured.err
    assert f"{len(TEXT) - limit:,} more are written as they came" in captured.err


@pytest.mark.parametrize("mode", ["true", "false"])
def test_past_the_deadline_the_text_is_written(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_DEADLINE", "1")
    monkeypatch.setenv("LIMNER_WRITE_AT_DEADLINE", mode)
    assert illustrated("-o", "out.md", "--min-time", "60", text=TEXT.encode()) == 3
    assert plain("out.md") == TEXT
    assert len(MARK.findall(Path("out.md").read_text())) == 1


def test_a_generator_that_is_dead_costs_no_text(monkeypatch, capfd) -> None:
    monkeypatch.setenv("LIMNER_MAX_PICTURE_PIXELS", "1")
    assert illustrated("--generator", "sketch", text=TEXT.encode()) == 3
    assert capfd.readouterr().out == TEXT


def test_a_stream_that_idles_is_written_and_told(monkeypatch, capfd) -> None:
    monkeypatch.setenv("LIMNER_IDLE_TIMEOUT", "0.5")
    over = threading.Event()

    def wait(writing: int) -> None:
        os.write(writing, TEXT.encode())
        over.wait()

    with standard_input(wait):
        status = run(["illustrate", "-", "-o", "out.md"])
        over.set()
    assert status == 3
    assert plain("out.md") == TEXT
    assert "no text came for 0.5 s (LIMNER_IDLE_TIMEOUT)" in capfd.readouterr().err


def test_a_read_that_fails_ends_the_text_which_is_written() -> None:
    terminal, end = pty.openpty()
    with started("-", "-o", "out.md", stdin=end) as process:
        os.close(end)
        os.write(terminal, TEXT.encode() + b"\n")
        wait_for(process.stderr, b"drawn")
        os.close(terminal)
        said = end_of(process)
    assert process.returncode == 3
    assert plain("out.md") == f"{TEXT}\n"
    assert b"standard input cannot be read: Input/output error" in said


@pytest.mark.parametrize("second", [signal.SIGHUP, signal.SIGTERM])
def test_a_closed_terminal_is_no_second_interrupt(second: signal.Signals) -> None:
    with started("-", "-o", "out.md", "--min-time", "600") as process:
        assert process.stdin is not None
        process.stdin.write(TEXT.encode())
        process.stdin.flush()
        wait_for(process.stderr, b"drawn")
        process.send_signal(signal.SIGHUP)
        process.send_signal(second)
        end_of(process)
    assert process.returncode == 130
    assert plain("out.md") == TEXT


# stores that fail


def test_a_store_that_fails_costs_no_text(capfd) -> None:
    Path(".limner.sqlite").write_bytes(b"no database at all" * 100)

    def write(writing: int) -> None:
        os.write(writing, b"One ")
        until(capfd, "limner: the session has failed; the text is read to its end")
        os.write(writing, TEXT.encode())

    assert illustrated("-o", "out.md", text=write) == 3
    assert Path("out.md").read_text() == f"One {TEXT}"
    said = capfd.readouterr().err
    assert ".limner.sqlite" in said
    assert said.endswith("limner: out.md has the text as it came, without pictures\n")


def test_what_another_program_writes_meanwhile_is_kept_too(folder: Path, capfd) -> None:
    Path("out.md").write_text("old")

    def write(writing: int) -> None:
        os.write(writing, TEXT.encode())
        until(capfd, "drawn")
        Path("out.md").write_text("of another program")

    assert illustrated("-o", "out.md", text=write) == 1
    assert Path("out.md").read_text() == "of another program"
    [kept] = folder.glob("out.*.md")
    assert kept.read_text() == TEXT
    assert capfd.readouterr().err.endswith(f"limner: the text is kept in {kept}\n")


def test_an_output_that_is_deleted_meanwhile_is_no_loss(folder: Path, capfd) -> None:
    Path("out.md").write_text("old")

    def write(writing: int) -> None:
        os.write(writing, TEXT.encode())
        until(capfd, "drawn")
        Path("out.md").unlink()

    illustrated("-o", "out.md", text=write)
    [kept] = folder.glob("out*.md")
    assert plain(kept.name) == TEXT


# the parts


@given(st.lists(st.text(max_size=5)), st.integers(1, 20), st.integers(0, 20))
def test_a_piped_text_is_all_that_came(chunks: list[str], most: int, ends: int) -> None:
    piped, taken = PipedText(most), list[str]()

    def stream(chunk: str) -> None:
        if len(taken) >= ends:
            raise StreamClosed("it has ended")
        taken.append(chunk)

    for chunk in chunks:
        piped.feed(chunk, stream)
    assert piped.text == "".join(chunks)
    assert "".join(taken) + piped.rest == piped.text
    assert len("".join(taken)) <= most
    assert piped.characters == len(piped.text)


def test_a_pipe_without_end_is_read_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limner.scripts.pipes.MOST", 10)
    piped = PipedText(5)
    with pytest.raises(Unusable, match="more than 10 characters have come"):
        piped.feed("x" * 11, lambda _: None)
    assert piped.text == "x" * 11


def test_a_text_that_goes_nowhere_else_goes_to_the_temporary_folder(folder: Path) -> None:
    output = Path("gone/out.md")
    there = save("a text", output, version_at(output))
    assert there.parent == folder
    assert there.read_text() == "a text"
