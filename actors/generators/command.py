"""A generator that runs a command: `exec:COMMAND {prompt} {output}`, never through a shell."""

import os
import re
import shlex
import signal
import stat
import subprocess
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from shutil import which

from limner.actors.generators.protocol import Cancelled
from limner.messages.errors import GenerationFailed, SettingsInvalid, describe
from limner.messages.pictures import PictureBytes
from limner.messages.tasks import Task
from limner.messages.unicode import shown, wellformed

PREFIX = "exec:"
"""What the name of such a generator begins with."""

MAX_BYTES = 2**30
"""Bytes of a picture that are read at most; `max_picture_bytes` is never more."""

MAX_STDERR = 8_192
"""Bytes of what a command writes to standard error that are kept: the last ones."""

CHECK = 0.05
"""Seconds between two looks at whether the command has ended; a cancellation is seen at once."""

TERMINATION = 1
"""Seconds that a command has to end after SIGTERM; then its group is killed."""

_PLACE = re.compile(r"\{(prompt|output|seed)\}")


class Command:
    """Runs a command for each picture.

    The command is an argument list, split as a POSIX shell splits words and given to no shell. In
    each argument, `{prompt}` stands for the prompt, `{output}` for the path of the picture to
    write, in a new temporary folder, and `{seed}` for a number. An argument that is `{prompt}`
    alone is never taken for an option: a space is put before a prompt that begins with `-` or `@`.

    Where there are process groups (POSIX), a command that is cancelled or takes too long is ended
    with all that it has started; elsewhere alone.

    Args:
        command: the argument list as one text, without `exec:`. A `~` that it begins with is the
            user's home.
        folder: where it is run; the working folder by default.

    Raises:
        SettingsInvalid: if it cannot be split, names no `{output}`, or is not installed.
    """

    def __init__(self, command: str, folder: Path | None = None) -> None:
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise SettingsInvalid(
                f"generator: {shown(command, 80)!r} is no list of arguments: {error}"
            ) from None
        if not self._arguments or not any("{output}" in each for each in self._arguments):
            raise SettingsInvalid(
                f"generator: the command {shown(command, 80)!r} does not name {{output}}, the path"
                " of the picture to write, as in exec:draw --text {prompt} --to {output}"
            )
        self._folder = folder
        name = self._arguments[0] = _program(self._arguments[0], folder)
        if which(name) is None:
            raise SettingsInvalid(
                f"generator: the command {shown(name, 80)!r} is not there, or cannot be run"
            )

    def __repr__(self) -> str:
        return f"Command({self._arguments[0]!r})"

    def generate(self, task: Task, cancelled: Cancelled) -> PictureBytes:
        """Run the command, and return the picture that it has written.

        Raises:
            GenerationFailed: if it cannot be run, ends with another status than 0, writes no
                picture, or was cancelled.
        """
        with tempfile.TemporaryDirectory(
            prefix="limner-exec-", ignore_cleanup_errors=True
        ) as folder:
            output = Path(folder) / "picture.png"
            self._run(self._filled(task, output), cancelled)
            return PictureBytes(data=_read(output))

    def _filled(self, task: Task, output: Path) -> list[str]:
        """Return the arguments for a task; what is put in is not looked at again."""
        prompt = wellformed(task.prompt).replace("\0", " ")
        values = {"prompt": prompt, "output": str(output), "seed": str(task.seed)}
        return [
            f" {prompt}"
            if argument == "{prompt}" and prompt.startswith(("-", "@"))
            else _PLACE.sub(lambda place: values[place[1]], argument)
            for argument in self._arguments
        ]

    def _run(self, arguments: list[str], cancelled: Cancelled) -> None:
        name = shown(Path(arguments[0]).name, 60)
        try:
            process = subprocess.Popen(  # noqa: S603  # the user's own command, and no shell
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=self._folder,
                start_new_session=hasattr(os, "killpg"),
            )
        except (OSError, ValueError) as error:
            raise GenerationFailed(
                f"the command {name} cannot be run: {describe(error, limit=200)}"
            ) from error
        said = _Tail(process)
        try:
            while process.poll() is None:
                if cancelled.wait(CHECK):
                    raise GenerationFailed(f"the command {name} was cancelled", retryable=False)
        finally:
            if process.returncode != 0:
                _end(process)
        if process.returncode != 0:
            last = said.last_line()
            raise GenerationFailed(
                f"the command {name} ended {_how(process.returncode)}" + (last and f": {last}")
            )


class _Tail:
    """Reads standard error to its end, and keeps the last of it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="limner-stderr", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        stream = self._process.stderr
        assert stream is not None
        with stream:
            while piece := os.read(stream.fileno(), MAX_STDERR):
                self._kept = (self._kept + piece)[-MAX_STDERR:]

    def last_line(self) -> str:
        """Return the last line that is not empty, as a terminal may show it."""
        self._thread.join(CHECK * 4)  # something that it has started may hold the pipe open
        lines = [
            line for line in self._kept.decode("utf-8", "replace").splitlines() if line.strip()
        ]
        return shown(lines[-1], 200) if lines else ""


def _program(name: str, folder: Path | None) -> str:
    """Return the path of a command that is given by one, and of others the name."""
    if "/" not in name and os.sep not in name:
        return name
    path = Path(name)
    if name.startswith("~"):
        with suppress(RuntimeError):  # there may be no home
            path = path.expanduser()
    return str((folder or Path.cwd()) / path)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process and what it has started, which may be there when it has ended itself."""
    if process.poll() is None:
        _signal(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(TERMINATION)
    _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    process.wait()


def _signal(process: "subprocess.Popen[bytes]", number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # all of them have ended
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)  # it leads a group of its own
        elif process.poll() is None:
            process.terminate()


def _how(status: int) -> str:
    if status > 0:
        return f"with status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"


def _read(output: Path) -> bytes:
    """Read the picture that a command has written, if it is a regular file."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(output, flags | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise GenerationFailed("the command has written no picture to {output}") from None
    except OSError as error:
        raise GenerationFailed(f"the picture cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise GenerationFailed("the command has written no regular file to {output}")
    with os.fdopen(descriptor, "rb") as file:
        return file.read(MAX_BYTES + 1)
