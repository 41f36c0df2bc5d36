"""The pipeline on real files and a real SQLite."""

import html
import re
import sqlite3
from pathlib import Path

import pytest
from PIL import Image

from limner.actors import Settings, Studio
from limner.actors.generators import Instant
from limner.actors.stores import PictureFiles, SqlStore
from limner.messages import find_prompts
from limner.messages.errors import SessionFailed, StoreFailed

WAIT = 60


def test_pictures_are_files_and_the_text_outlives_the_studio(tmp_path, story, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(store="sqlite:///chat.db", pictures="pictures/", slots=2)
    with Studio.open(settings) as studio:
        result = studio.illustrate("m", story).get(timeout=WAIT)
    assert len(result.pictures) == 3
    for placement in result.pictures:
        with Image.open(tmp_path / placement.picture.url) as image:
            assert image.size == (placement.picture.width, placement.picture.height)
    with Studio.open(settings) as studio:
        again = studio.illustrate("m", result.text).get(timeout=WAIT)
        assert again.version == result.version + 1


def test_a_locked_database_fails_its_session_and_its_pictures_are_used_first_later(tmp_path):
    path = tmp_path / "chat.db"
    calls = []
    generator = Instant()

    def generate(task, cancelled):
        calls.append(task.prompt)
        return generator.generate(task, cancelled)

    class Locking(SqlStore):
        def keep(self, *args):
            picture = super().keep(*args)
            locked.execute("BEGIN IMMEDIATE")  # another program, between the picture and the text
            return picture

    store = Locking(f"sqlite:///{path}", PictureFiles(tmp_path / "pictures"), timeout=0.2)
    locked = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    text = '<!--img-prompt="a"--> text'
    with Studio.open(Settings(), store=store, generator=generate) as studio:
        with pytest.raises(SessionFailed, match="locked") as caught:
            studio.illustrate("m", text).get(timeout=WAIT)
        assert isinstance(caught.value.cause, StoreFailed)
        locked.rollback()
        result = studio.illustrate("m", text).get(timeout=WAIT)
        assert len(result.pictures) == 1
        assert calls == ["a"]
    locked.close()
    store.close()


@pytest.mark.parametrize("markup", ["html", "markdown"])
def test_a_hostile_prompt_reaches_the_text_only_escaped(open_studio, markup):
    hostile = '"><script>alert(1)</script>[x](javascript:alert(2))`'
    tag = f'<!--img-prompt="{hostile.replace(chr(34), chr(92) + chr(34))}"-->'
    one = open_studio(markup=markup)
    stream = one.studio.stream("m")
    for character in f"before {tag} after":
        stream.feed(character)
    result = stream.finish().get(timeout=WAIT)
    assert [placement.prompt for placement in result.pictures] == [hostile]
    (match,) = find_prompts(result.text)
    put_in = result.text[match.end : -len(" after")]
    assert "<script" not in put_in
    if markup == "markdown":
        assert "[x](" not in put_in
    else:
        (alt,) = re.findall(r'alt="([^"<>]*)"', put_in)
        alike = str.maketrans('<>"', "\u2039\u203a\u201d")
        assert html.unescape(alt) == hostile.translate(alike)
    assert result.text == f"before {tag}{put_in} after"


@pytest.mark.parametrize("happens", ["deleted", "replaced"])
@pytest.mark.parametrize("kind", ["sql", "files"])
def test_a_database_that_is_gone_is_noticed_and_the_text_is_in_the_error(tmp_path, kind, happens):
    path = tmp_path / ("chat.db" if kind == "sql" else ".limner.sqlite")
    name = f"sqlite:///{path}" if kind == "sql" else f"files:{tmp_path}"
    calls = []

    def generate(task, cancelled):
        calls.append(task.prompt)
        return Instant().generate(task, cancelled)

    text = '<!--img-prompt="a"--> text'
    settings = Settings(store=name, pictures=tmp_path / "pictures")
    with Studio.open(settings, generator=generate) as studio:
        studio.illustrate("before", text).get(timeout=WAIT)
        stream = studio.stream("m")
        stream.feed(text)
        for end in ("", "-wal", "-shm"):
            Path(f"{path}{end}").unlink(missing_ok=True)
        if happens == "replaced":
            sqlite3.connect(path).close()
            path.touch()
        with pytest.raises(SessionFailed, match=f"was {happens}.* while it was open") as caught:
            stream.finish().get(timeout=WAIT)
        assert isinstance(caught.value.cause, StoreFailed)
        assert caught.value.text == text
    assert calls == ["a", "a"]
