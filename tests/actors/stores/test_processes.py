"""A temporary file goes when its process is gone, and never before."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limner.actors.stores import FileStore, PictureFiles, processes
from limner.actors.stores.atomic_files import sweep, write_temporary
from limner.actors.stores.sillytavern.line_file import LineFile

LEAVES = """
import os, signal, sys
from pathlib import Path
from limner.actors.stores.atomic_files import write_temporary
print(write_temporary(Path(sys.argv[1]), b"half of it").name, flush=True)
if sys.argv[2] == "dies":
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.read()
"""

OPENS = {
    "texts": lambda folder: FileStore(folder, PictureFiles(folder / "pictures")),
    "pictures": PictureFiles,
    "a chat": lambda folder: LineFile(folder / "chat.jsonl"),
}


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(".limner-*.tmp"))


def renamed(path: Path, **fields: object) -> Path:
    """Rename a temporary file of this process as if another one had made it."""
    found = processes.NAME.fullmatch(path.name)
    assert found is not None
    parts = dict(zip(("process", "place", "boot", "start"), found.groups(), strict=True)) | fields
    name = ".limner-{process}-0-{place}-{boot}-{start}.tmp".format(**parts)
    return path.rename(path.with_name(name))


@pytest.mark.parametrize("opens", OPENS)
def test_one_of_a_killed_process_goes_when_the_next_run_opens(opens: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEAVES, str(tmp_path), "dies"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert left(tmp_path) == [done.stdout.strip()]
    OPENS[opens](tmp_path)
    assert left(tmp_path) == []


def test_one_of_a_living_process_stays_however_old_it_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEAVES, str(tmp_path), "lives"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        name = process.stdout.readline().decode().strip()
        os.utime(tmp_path / name, (1, 1))
        own = write_temporary(tmp_path, b"")
        os.utime(own, (1, 1))
        sweep(tmp_path, now=write_temporary(tmp_path, b""))
        assert {name, own.name} <= set(left(tmp_path))
        process.kill()
    sweep(tmp_path)
    assert name not in left(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs the times of processes")
def test_a_number_that_another_process_has_by_now_protects_nothing(tmp_path: Path) -> None:
    renamed(write_temporary(tmp_path, b""), start="1")
    sweep(tmp_path)
    assert left(tmp_path) == []


def test_one_of_another_host_stays_until_it_is_an_hour_old(tmp_path: Path) -> None:
    path = renamed(write_temporary(tmp_path, b""), place="00000000", process=999_999)
    now = tmp_path / "now"
    now.touch()
    sweep(tmp_path)
    sweep(tmp_path, now=now)
    assert left(tmp_path) == [path.name]
    os.utime(path, (now.stat().st_mtime - 3_601,) * 2)
    sweep(tmp_path)
    assert left(tmp_path) == [path.name]
    sweep(tmp_path, now=now)
    assert left(tmp_path) == []


def test_one_from_before_the_system_was_started_goes(tmp_path: Path) -> None:
    path = renamed(write_temporary(tmp_path, b""), boot="00000000")
    sweep(tmp_path)
    assert left(tmp_path) == [path.name]  # it is new, so a copy of this machine has made it
    os.utime(path, (1, 1))
    sweep(tmp_path)
    assert left(tmp_path) == []


def test_a_name_of_an_earlier_version_is_judged_by_its_age_alone(tmp_path: Path) -> None:
    old, new = tmp_path / ".limner-999999-0.tmp", tmp_path / ".limner-999998-0.tmp"
    for path in (old, new):
        path.touch()
    os.utime(old, (1, 1))
    sweep(tmp_path)
    assert left(tmp_path) == [new.name, old.name]
    sweep(tmp_path, now=new)
    assert left(tmp_path) == [new.name]


def test_what_is_no_temporary_file_is_never_removed(tmp_path: Path) -> None:
    for name in (".limner-1-2.tmp.bak", "limner-1-2.tmp", ".limner-x-1.tmp", ".limner.sqlite"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1, 1))
    now = tmp_path / "now"
    now.touch()
    sweep(tmp_path, now=now)
    assert len(list(tmp_path.iterdir())) == 5
    sweep(tmp_path / "missing")
    assert processes.owner_of("story.md", time.time()) is None


def test_a_name_is_used_once() -> None:
    names = {processes.temporary_name() for _ in range(1_000)}
    assert len(names) == 1_000
    assert all(re.fullmatch(r"[\w.-]{1,90}", name) for name in names)
