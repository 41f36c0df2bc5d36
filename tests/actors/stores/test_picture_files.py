"""Pictures are files that are whole, durable, and named by nothing that anybody typed."""

import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from limner.actors.stores import PictureFiles, processes
from limner.messages.errors import StoreFailed
from limner.messages.pictures import Picture

Maker = Callable[..., Any]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def picture(picture_id: str = "0a1b", media_type: str = "image/png") -> Picture:
    return Picture(id=picture_id, url="", media_type=media_type, width=1, height=1)


@pytest.mark.parametrize(
    ("media_type", "name"),
    [
        ("image/png", "0a1b.png"),
        ("image/jpeg", "0a1b.jpg"),
        ("image/webp", "0a1b.webp"),
        ("image/gif", "0a1b.gif"),
    ],
)
def test_a_picture_is_a_file_named_by_its_id_and_type(
    tmp_path: Path, media_type: str, name: str
) -> None:
    put = PictureFiles(tmp_path / "deep" / "pictures").put(picture(media_type=media_type), b"bytes")
    assert (tmp_path / "deep" / "pictures" / name).read_bytes() == b"bytes"
    assert names(tmp_path / "deep" / "pictures") == [name]
    assert put.url.endswith("/" + name)


def test_nothing_is_made_before_the_first_picture(tmp_path: Path) -> None:
    PictureFiles(tmp_path / "pictures")
    assert not (tmp_path / "pictures").exists()


@pytest.mark.parametrize(
    "bad", ["", "../up", "0a/1b", "0A1B", "0a1b\0", "0a1b\n", "zz", ".", "a" * 129, "\uff10"]
)
def test_an_id_that_is_not_hexadecimal_names_no_file(tmp_path: Path, bad: str) -> None:
    with pytest.raises(StoreFailed, match=r"^a picture's id is hexadecimal digits[^\n]*$"):
        PictureFiles(tmp_path / "pictures").put(picture(bad), b"bytes")
    assert names(tmp_path) == []


@pytest.mark.parametrize("bad", ["", "image/svg+xml", "text/html", "png/../../x", "image/PNG"])
def test_a_media_type_out_of_the_table_names_no_file(tmp_path: Path, bad: str) -> None:
    with pytest.raises(StoreFailed, match="image/png, image/jpeg, image/webp, image/gif"):
        PictureFiles(tmp_path / "pictures").put(picture(media_type=bad), b"bytes")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("directory", "url"),
    [
        ("pictures", "pictures/0a1b.png"),
        ("pictures/", "pictures/0a1b.png"),
        ("./out//pictures//", "out/pictures/0a1b.png"),
        ("../pictures", "../pictures/0a1b.png"),
        ("my pictures (ü)#1?", "my%20pictures%20%28%C3%BC%29%231%3F/0a1b.png"),
        ("100%", "100%25/0a1b.png"),
        ("a:b", "a%3Ab/0a1b.png"),
        ('"><b>', "%22%3E%3Cb%3E/0a1b.png"),
    ],
)
def test_a_relative_directory_is_referred_to_as_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directory: str, url: str
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert PictureFiles(directory).put(picture(), b"bytes").url == url
    assert (Path(directory) / "0a1b.png").is_file()


def test_an_absolute_directory_is_referred_to_by_its_uri(tmp_path: Path) -> None:
    put = PictureFiles(tmp_path / "a b").put(picture(), b"bytes")
    assert put.url == (tmp_path / "a b" / "0a1b.png").as_uri()
    assert put.url.startswith("file:///")


@pytest.mark.parametrize(
    ("prefix", "url"),
    [
        ("", "0a1b.png"),
        ("/static/", "/static/0a1b.png"),
        ("https://example.org:8080/p%20q?x=1&y", "https://example.org:8080/p%20q?x=1&y/0a1b.png"),
        ("a b\"<>'()\n\ud800", "a%20b%22%3C%3E%27%28%29%0A%ED%A0%80/0a1b.png"),
    ],
)
def test_a_given_prefix_is_a_url_and_ends_with_one_slash(
    tmp_path: Path, prefix: str, url: str
) -> None:
    assert PictureFiles(tmp_path, prefix).put(picture(), b"bytes").url == url


def test_a_relative_directory_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = PictureFiles("pictures")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    files.put(picture(), b"bytes")
    assert (tmp_path / "pictures" / "0a1b.png").is_file()


def test_a_file_that_is_there_is_not_written_again(tmp_path: Path) -> None:
    files = PictureFiles(tmp_path)
    files.put(picture(), b"bytes")
    before = (tmp_path / "0a1b.png").stat()
    assert files.put(picture(), b"bytes") == PictureFiles(tmp_path).put(picture(), b"bytes")
    after = (tmp_path / "0a1b.png").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_file_of_another_size_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "0a1b.png").write_bytes(b"by")
    PictureFiles(tmp_path).put(picture(), b"bytes")
    assert (tmp_path / "0a1b.png").read_bytes() == b"bytes"


def test_a_picture_is_as_readable_as_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    PictureFiles(tmp_path).put(picture(), b"bytes")
    assert (tmp_path / "0a1b.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_bytes_and_name_are_on_the_disk_before_put_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        made = (tmp_path / "pictures").is_dir()
        synced.append(
            (
                Path(f"/proc/self/fd/{descriptor}").readlink().name,
                names(tmp_path / "pictures") if made else [],
            )
        )
        real(descriptor)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to see what is synced")
    monkeypatch.setattr(os, "fsync", fsync)
    PictureFiles(tmp_path / "pictures").put(picture(), b"bytes")
    (made, _), (file, while_written), (directory, in_the_end) = synced
    assert made == tmp_path.name  # which holds the name of the new directory
    assert while_written == [file]
    assert file.endswith(".tmp")
    assert (directory, in_the_end) == ("pictures", ["0a1b.png"])


def test_a_write_that_fails_leaves_nothing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreFailed, match=r"0a1b\.png cannot be written: No space left"):
            PictureFiles(tmp_path).put(picture(), b"bytes")
    assert names(tmp_path) == []


def test_a_directory_that_cannot_be_one_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed, match=r"^picture [^\n]* cannot be written: Not a directory$"):
        PictureFiles(tmp_path / "file" / "pictures").put(picture(), b"bytes")


def test_leftovers_of_killed_processes_are_removed_and_those_of_living_ones_are_not(
    tmp_path: Path,
) -> None:
    dead, alive = tmp_path / ".limner-999999-0.tmp", tmp_path / ".limner-999998-0.tmp"
    others = [tmp_path / ".other.tmp", tmp_path / "limner-1-1.tmp"]
    for path in (dead, alive, *others):
        path.write_bytes(b"part of a pic")
    for path in (dead, *others):
        os.utime(path, (1, 1))
    PictureFiles(tmp_path).put(picture(), b"bytes")
    assert not dead.exists()
    assert all(path.exists() for path in (alive, *others, tmp_path / "0a1b.png"))


def test_a_leftover_with_the_name_of_our_next_temporary_is_no_obstacle(tmp_path: Path) -> None:
    head, number, tail = re.fullmatch(
        r"(\.limner-\d+-)(\d+)(-.*)", processes.temporary_name()
    ).groups()
    for following in (1, 2):
        (tmp_path / f"{head}{int(number) + following}{tail}").touch()
    PictureFiles(tmp_path).put(picture(), b"bytes")
    assert (tmp_path / "0a1b.png").read_bytes() == b"bytes"


def test_many_threads_may_put_the_same_picture(tmp_path: Path) -> None:
    files = PictureFiles(tmp_path)
    content = b"x" * 100_000
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: files.put(picture(), content).url, range(40)))) == 1
    assert names(tmp_path) == ["0a1b.png"]
    assert (tmp_path / "0a1b.png").read_bytes() == content


KILLED_WHILE_WRITING = """
import os, signal, sys
from limner.actors.stores import PictureFiles
from limner.messages.pictures import Picture
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
picture = Picture(id="0a1b", url="", media_type="image/png", width=1, height=1)
PictureFiles(sys.argv[1]).put(picture, b"bytes")
"""


def test_a_process_killed_while_it_writes_leaves_no_picture(tmp_path: Path, python: Maker) -> None:
    with python(KILLED_WHILE_WRITING, tmp_path) as killed:
        killed.communicate(timeout=60)
    assert killed.returncode == -9
    (leftover,) = names(tmp_path)
    assert leftover.startswith(".")
    assert leftover.endswith(".tmp")
    PictureFiles(tmp_path).put(picture(), b"bytes")
    assert (tmp_path / "0a1b.png").read_bytes() == b"bytes"
