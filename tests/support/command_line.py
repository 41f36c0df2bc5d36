"""The command as people run it: a process of its own, with pipes, signals and a time limit."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

import pytest

COMMAND = [sys.executable, "-m", "limner.scripts.app"]
PATIENCE = 60
"""Seconds after which a process that does not end is killed, and its test fails."""


def clear_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing in the environment that says something to the command."""
    for name in os.environ:
        if name.startswith("LIMNER_") or name == "PYTHONUNBUFFERED":
            monkeypatch.delenv(name)


def reset_signals() -> None:
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # which a shell's & may have had ignored
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def started(*arguments: str, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command; kill it when its time is up, or it is left."""
    streams = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    with subprocess.Popen(
        [*COMMAND, *arguments],
        preexec_fn=reset_signals,  # noqa: PLW1509
        **streams,
    ) as process:
        guard = threading.Timer(PATIENCE, process.kill)
        guard.start()
        try:
            yield cast("subprocess.Popen[bytes]", process)
        finally:
            guard.cancel()
            process.kill()


def completed(*arguments: str, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end."""
    with started(*arguments, stdout=subprocess.PIPE) as process:
        out, err = process.communicate(text)
    assert b"Traceback" not in err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_for(stream: IO[bytes] | None, beginning: bytes) -> list[bytes]:
    """Read lines until one begins as that; the end of the stream is a failure."""
    assert stream is not None
    lines: list[bytes] = []
    for line in stream:
        lines.append(line)
        if line.startswith(beginning):
            return lines
    raise AssertionError(f"no {beginning!r} in {lines}")


def end_of(process: subprocess.Popen[bytes]) -> bytes:
    """Wait for the end; give what it said until then."""
    assert process.stderr is not None
    said = process.stderr.read()
    process.wait()
    assert b"Traceback" not in said
    return said
