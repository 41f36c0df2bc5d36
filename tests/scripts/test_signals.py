"""A signal is handled wherever the main thread is, and whichever thread receives it."""

import io
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command_line import clear_environment

from limner.actors import Studio
from limner.scripts.app import run

TEXT = '<!--img-prompt="a red door"--> and <!--img-prompt="a blue door"-->'
GIVEN_UP = 30
"""Seconds after which the main thread is woken, for the test to fail instead of to hang."""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    clear_environment(monkeypatch)
    monkeypatch.chdir(tmp_path)
    # which a shell's & may have had ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Elsewhere(io.StringIO):
    """A standard error that, once a picture is drawn, has Ctrl-C sent to another thread.

    A signal to that thread does not end the main one's wait, as one does not that comes just
    before the wait begins.
    """

    def __init__(self) -> None:
        super().__init__()
        self.drawn, self.over = threading.Event(), threading.Event()
        self.heard = True
        self.thread = threading.Thread(target=self.interrupt)

    def write(self, text: str) -> int:
        if text.startswith("drawn "):
            self.drawn.set()
        return super().write(text)

    def interrupt(self) -> None:
        main = threading.main_thread().ident
        assert main is not None
        self.drawn.wait(GIVEN_UP)
        while sys._current_frames()[main].f_code.co_name != "_next":  # where it waits
            self.over.wait(0.01)
        self.over.wait(0.05)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        self.heard = self.over.wait(GIVEN_UP)
        if not self.heard:
            signal.pthread_kill(main, signal.SIGINT)


@pytest.mark.parametrize("command", ["illustrate", "regenerate"])
def test_the_first_is_heard_though_it_does_not_end_the_wait(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("story.md").write_text(TEXT)
    arguments = ["illustrate", "story.md"]
    if command == "regenerate":
        assert run(["illustrate", "-q", "story.md", "-o", "drawn.md"]) == 0
        arguments = ["regenerate", "drawn.md", "1", "2"]
    said = Elsewhere()
    monkeypatch.setattr(sys, "stderr", said)
    said.thread.start()
    status = run([*arguments, "--slots", "1", "--min-time", "600"])
    said.over.set()
    said.thread.join()
    assert said.heard
    assert status == 130
    lines = said.getvalue().splitlines()
    assert "interrupted: writing what is finished; again to write nothing" in lines
    assert lines[-1].startswith("written ")


@pytest.mark.parametrize(("command", "call"), [("reconcile", "reconcile"), ("clean", "edit")])
def test_it_does_not_break_into_a_studio(
    command: str,
    call: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The studio may hold a lock there, which would never be released."""
    Path("story.md").write_text(TEXT)
    assert run(["illustrate", "-q", "story.md", "-o", "drawn.md", "--generator", "instant"]) == 0
    original = getattr(Studio, call)
    passed = []

    def interrupted(*arguments: object) -> object:
        signal.raise_signal(signal.SIGINT)
        passed.append(call)
        return original(*arguments)

    monkeypatch.setattr(Studio, call, interrupted)
    more = ["--in-place"] if command == "clean" else []
    assert run([command, "drawn.md", *more]) == 130
    assert passed == [call]
    assert "limner: interrupted; " in capsys.readouterr().err
