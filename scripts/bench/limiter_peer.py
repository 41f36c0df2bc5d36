"""Bottleneck on Node.js, with which the limiter is compared: fetched by npm, run by node."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from limner.messages.base import Value
from limner.messages.errors import LimnerError
from limner.messages.unicode import shown
from limner.scripts.bench.limiter_speed import Speed
from limner.scripts.bench.workload import BenchFailed

VERSION = "2.19.5"
FETCH = 120.0
"""Seconds that npm may take."""
RUN = 300.0
"""Seconds that one run may take."""
MUCH = 10_000
"""Bytes that are read of a child's output, at most."""


class NoPeer(LimnerError):
    """Bottleneck cannot be run here; the message says why."""


class Output(Value):
    """What the peer's script prints."""

    seconds: float = Field(gt=0, lt=RUN, allow_inf_nan=False, strict=True)
    sum: int = Field(strict=True)
    version: Literal["2.19.5"]
    node: str = Field(pattern=r"^v[0-9.]{1,20}$")


class Peer:
    """Bottleneck, installed in a folder.

    Args:
        node: the program.
        folder: the one that holds `node_modules`.
    """

    def __init__(self, node: str, folder: Path) -> None:
        self.node = node
        self.folder = folder
        self.version = ""

    def run(self, way: str, at_once: int, jobs: int) -> Speed:
        """Measure one way: `schedule`, `wrap`, `light schedule` or `light wrap`.

        Raises:
            BenchFailed: if it did not do the work, or its output is not as expected.
        """
        *light, call = way.split()
        arguments = [str(self.folder), "light" if light else "full", call, str(at_once), str(jobs)]
        with as_file(files("limner.scripts.bench") / "bottleneck_peer.mjs") as script:
            status, out, errors = run_program(
                [self.node, str(script), *arguments], self.folder, RUN
            )
        if status:
            raise BenchFailed(f"bottleneck failed: {shown(errors, 200)}")
        try:
            output = Output.model_validate_json(out)
        except ValidationError as error:
            raise BenchFailed(f"bottleneck said {shown(out, 200)!r}") from error
        if output.sum != jobs * (jobs - 1) // 2:
            raise BenchFailed("bottleneck did not run every job once")
        self.version = output.node
        return Speed(
            contender="bottleneck", way=way, at_once=at_once, jobs=jobs, seconds=output.seconds
        )


@contextmanager
def installed() -> Iterator[Peer]:
    """Fetch Bottleneck into a temporary folder that is removed at the end of the context.

    Raises:
        NoPeer: if node or npm is not there, or the package cannot be fetched.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NoPeer(f"Bottleneck was not run: there is no {'npm' if node else 'node'} here")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--prefix", name]
        try:
            status, _, errors = run_program(
                [npm, "install", *options, f"bottleneck@{VERSION}"], folder, FETCH
            )
        except (BenchFailed, OSError) as error:
            raise NoPeer(f"Bottleneck was not run: {shown(str(error), 200)}") from error
        if status:
            raise NoPeer(f"Bottleneck was not run: npm cannot fetch it: {shown(errors, 200)}")
        yield Peer(node, folder)


def run_program(command: list[str], folder: Path, limit: float) -> tuple[int, str, str]:
    """Run a program; return its exit status and the beginning of its output and its errors.

    Raises:
        BenchFailed: if it takes longer than `limit` seconds.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        try:
            status = subprocess.run(  # noqa: S603
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                timeout=limit,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired as error:
            raise BenchFailed(f"{Path(command[0]).name} took longer than {limit:g} s") from error
        texts = []
        for file in (out, errors):
            file.seek(0)
            texts.append(file.read(MUCH).decode(errors="replace"))
    return status, texts[0], texts[1]
