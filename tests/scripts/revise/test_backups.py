"""A chat is kept as it was before it is changed, or it is not changed."""

import os
from pathlib import Path

import pytest
from support.illustrated import chat

from limner.actors import Settings, Studio
from limner.actors.stores import PictureFiles
from limner.actors.stores.sillytavern.chat_file import ChatFileStore
from limner.messages.errors import StoreFailed, VersionConflict
from limner.scripts.app import run

KINDS = {
    "folder": lambda bak: bak.mkdir(),
    "dangling link": lambda bak: bak.symlink_to("gone/x"),
    "pipe": os.mkfifo,
    "link to a folder": lambda bak: bak.symlink_to("."),
}


@pytest.fixture(params=KINDS)
def untouched(request: pytest.FixtureRequest, folder: Path) -> bytes:
    """Write a chat whose backup's place is taken, and return its bytes."""
    file = chat()
    KINDS[request.param](Path("chat.jsonl.bak"))
    return file.read_bytes()


@pytest.mark.parametrize("command", [["illustrate"], ["clean", "--in-place"]])
def test_no_chat_is_changed_where_it_cannot_be_kept(command, untouched, capsys) -> None:
    assert run([*command, "chat.jsonl"]) == 2
    err = capsys.readouterr().err
    assert "chat.jsonl.bak is no file, so chat.jsonl cannot be kept there" in err
    assert err.count("\n") == 1
    assert Path("chat.jsonl").read_bytes() == untouched
    assert not Path("pictures").exists()


def test_it_is_changed_if_no_backup_is_wanted(untouched) -> None:
    assert run(["illustrate", "-q", "chat.jsonl", "--no-backup"]) == 0
    assert Path("chat.jsonl").read_bytes() != untouched


def test_a_studio_refuses_such_a_chat_when_it_is_opened(untouched) -> None:
    with pytest.raises(StoreFailed, match=r"chat\.jsonl\.bak is no file"):
        Studio.open(Settings(store="chat:chat.jsonl"))


def test_what_takes_the_place_later_is_refused_too(folder: Path) -> None:
    file = chat()
    before = file.read_bytes()
    store = ChatFileStore(file, PictureFiles("pictures"))
    loaded = store.load("2")
    assert loaded is not None
    Path("chat.jsonl.bak").mkdir()
    with pytest.raises((StoreFailed, VersionConflict), match="is no file"):
        store.write("2", "other", expected_version=loaded[1])
    assert file.read_bytes() == before


def test_the_backup_of_a_linked_chat_is_beside_its_target_and_told(capsys) -> None:
    Path("real").mkdir()
    file = chat("real/ada.jsonl")
    before = file.read_bytes()
    Path("chat.jsonl").symlink_to("real/ada.jsonl")
    assert run(["illustrate", "chat.jsonl"]) == 0
    assert Path("real/ada.jsonl.bak").read_bytes() == before
    assert "kept    real/ada.jsonl.bak, the chat as it was\n" in capsys.readouterr().err
    assert not os.path.lexists("chat.jsonl.bak")


def test_a_backup_that_is_there_is_left(capsys) -> None:
    chat()
    Path("chat.jsonl.bak").write_text("an older one")
    assert run(["illustrate", "chat.jsonl"]) == 0
    assert Path("chat.jsonl.bak").read_text() == "an older one"
    assert "kept " not in capsys.readouterr().err
