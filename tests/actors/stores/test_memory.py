"""The store in memory, as tests and benchmarks use it."""

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

from limner.actors.stores import MemoryStore, PictureFiles
from limner.messages.errors import VersionConflict
from limner.messages.registry import Registry

Maker = Callable[..., Any]


def test_texts_and_pictures_can_be_read(make_finished: Maker) -> None:
    store = MemoryStore()
    one = make_finished(data=b"bytes")
    picture = store.keep(*one)
    store.write("story.md", "once", expected_version=None)
    assert store.texts == {"story.md": "once"}
    assert store.pictures == {picture.id: b"bytes"}
    assert picture.url == f"memory:{picture.id}"


def test_a_message_that_was_deleted_and_made_again_has_a_new_version() -> None:
    store = MemoryStore()
    first = store.write("story.md", "once", expected_version=None)
    del store.texts["story.md"]
    assert store.write("story.md", "twice", expected_version=None) != first


def test_no_thread_comes_between_the_comparison_and_the_write() -> None:
    meeting = Barrier(2)

    class Texts(dict[str, str]):
        def __contains__(self, key: object) -> bool:
            found = super().__contains__(key)
            with suppress(BrokenBarrierError):  # as the other is not let in
                meeting.wait(timeout=0.1)
            return found

    store = MemoryStore()
    store.texts = Texts()

    def create(text: str) -> bool:
        try:
            store.write("story.md", text, expected_version=None)
        except VersionConflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(create, ["mine", "yours"])) == [False, True]


def test_the_same_bytes_are_stored_once(make_finished: Maker) -> None:
    store = MemoryStore()
    made = [make_finished(f"{number}.md") for number in range(50)]
    kept = [store.keep(*one) for one in made]
    assert len(store.pictures) == 1
    assert all(picture is kept[0] for picture in kept)


def test_pictures_go_to_files_if_there_is_a_place_for_them(
    tmp_path: Path, make_finished: Maker
) -> None:
    store = MemoryStore(PictureFiles(tmp_path, "pictures"))
    picture = store.keep(*make_finished(data=b"bytes"))
    assert picture.url == f"pictures/{picture.id}.png"
    assert (tmp_path / f"{picture.id}.png").read_bytes() == b"bytes"
    assert store.pictures == {}


def test_a_message_that_is_forgotten_leaves_nothing_behind(make_finished: Maker) -> None:
    store = MemoryStore()
    mine, other = make_finished("story.md"), make_finished("other.md")
    for one in (mine, other):
        store.keep(*one)
    store.write("story.md", "once", expected_version=None, links=mine.links)
    child = mine.links.prompts[0].refined("redder", source="manual")
    store.add(child)
    store.delete("story.md")
    assert store.registry("story.md") == Registry()
    assert store.prompt(child.id) is None
    assert store.pictures_of(mine.task.prompt_id) == ()
    assert store.prompts_of(mine.picture.id) == list(other.links.prompts)
    store.delete("other.md")
    assert store.prompts_of(mine.picture.id) == []
    left = {name: of for name, of in vars(store).items() if isinstance(of, dict) and of}
    assert left == {}


WITHOUT_SQLALCHEMY = """
import sys
from pathlib import Path
from limner.actors.stores import MemoryStore, PictureFiles, Store, open_store
open_store("memory:", pictures=Path("pictures"), pictures_url=None)
print("sqlalchemy" in sys.modules)
from limner.actors.stores import FileStore, SqlStore
print("sqlalchemy" in sys.modules)
"""


def test_a_store_in_memory_does_not_import_sqlalchemy(
    python: Callable[..., subprocess.Popen[str]],
) -> None:
    with python(WITHOUT_SQLALCHEMY) as process:
        said, errors = process.communicate(timeout=60)
    assert (said.split(), errors) == (["False", "True"], "")
