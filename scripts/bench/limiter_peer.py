"""Bottleneck on Node.js, beside which the limiter is measured: fetched by npm, run by node."""

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
"""Bytes that are read of what a child says."""


class NoPeer(LimnerError):
    """Bottleneck cannot be run here, and why."""


class Said(Value):
    """What the peer's script prints."""

    seconds: float = Field(gt=0, lt=RUN, allow_inf_nan=False, strict=True)
    sum: int = Field(strict=True)
    version: Literal["2.19.5"]
    node: str = Field(pattern=r"^v[0-9.]{1,20}$")


class Peer:
    """Bottleneck, as it is installed in a folder.

    Args:
        node: the program.
        folder: which holds `node_modules`.
    """

    def __init__(self, node: str, folder: Path) -> None:
        self.node = node
        self.folder = folder
        self.version = ""

    def run(self, way: str, at_once: int, jobs: int) -> Speed:
        """Measure one way, of `schedule`, `wrap`, `light schedule` and `light wrap`.

        Raises:
            BenchFailed: if it did not do the work, or says something else than it must.
        """
        *light, call = way.split()
        what = [str(self.folder), "light" if light else "full", call, str(at_once), str(jobs)]
        with as_file(files("limner.scripts.bench") / "bottleneck_peer.mjs") as script:
            status, out, errors = heard([self.node, str(script), *what], self.folder, RUN)
        if status:
            raise BenchFailed(f"bottleneck failed: {shown(errors, 200)}")
        try:
            said = Said.model_validate_json(out)
        except ValidationError as error:
            raise BenchFailed(f"bottleneck said {shown(out, 200)!r}") from error
        if said.sum != jobs * (jobs - 1) // 2:
            raise BenchFailed("bottleneck did not run every job once")
        self.version = said.node
        return Speed(
            contender="bottleneck", way=way, at_once=at_once, jobs=jobs, seconds=said.seconds
        )


@contextmanager
def installed() -> Iterator[Peer]:
    """Fetch Bottleneck into a temporary folder, for as long as the context lasts.

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
            status, _, errors = heard(
                [npm, "install", *options, f"bottleneck@{VERSION}"], folder, FETCH
            )
        except (BenchFailed, OSError) as error:
            raise NoPeer(f"Bottleneck was not run: {shown(str(error), 200)}") from error
        if status:
            raise NoPeer(f"Bottleneck was not run: npm cannot fetch it: {shown(errors, 200)}")
        yield Peer(node, folder)


def heard(command: list[str], folder: Path, limit: float) -> tuple[int, str, str]:
    """Run a program; give its exit status and the beginning of what it said and complained of.

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
        said = []
        for file in (out, errors):
            file.seek(0)
            said.append(file.read(MUCH).decode(errors="replace"))
    return status, said[0], said[1]
