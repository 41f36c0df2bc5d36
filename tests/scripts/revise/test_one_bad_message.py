"""One message of a chat that cannot be worked on fails alone, and is named."""

import json
from pathlib import Path

import pytest
from support.illustrated import PICTURE, chat, message, said, tag

from limner.actors.stores.sillytavern.chat_file import ChatFileStore
from limner.messages.errors import StoreFailed
from limner.scripts.app import run

LONG = message(f"{tag('a whale')} {'x' * 500}")
TOLD = "chat.jsonl:3 is passed over: it has"


@pytest.fixture(autouse=True)
def _settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_GENERATOR", "instant")
    monkeypatch.setenv("LIMNER_MAX_TEXT", "400")


def pictures(file: Path) -> list[int]:
    """Count the pictures of each message."""
    return [len(PICTURE.findall(said(file, line))) for line in (2, 3, 4)]


def three(*, second: object = LONG) -> Path:
    return chat("chat.jsonl", message(tag("a door")), second, message(tag("a cat")))


def test_the_others_are_illustrated(capsys) -> None:
    file = three()
    assert run(["illustrate", "chat.jsonl"]) == 3
    assert pictures(file) == [1, 0, 1]
    assert TOLD in capsys.readouterr().err
    assert run(["illustrate", "chat.jsonl"]) == 3


def test_another_message_may_be_meant_alone(capsys) -> None:
    file = three()
    assert run(["illustrate", "chat.jsonl", "--message", "4"]) == 0
    assert pictures(file) == [0, 0, 1]
    assert TOLD not in capsys.readouterr().err
    assert run(["illustrate", "chat.jsonl", "--message", "3"]) == 3
    assert TOLD in capsys.readouterr().err


def test_the_others_are_listed_regenerated_and_cleaned(capsys) -> None:
    file = three()
    assert run(["illustrate", "-q", "chat.jsonl"]) == 3
    capsys.readouterr()
    assert run(["pictures", "chat.jsonl"]) == 3
    captured = capsys.readouterr()
    assert captured.out.count("\tpicture\t") == 2
    assert TOLD in captured.err
    assert run(["regenerate", "-q", "chat.jsonl", "2"]) == 0
    assert run(["regenerate", "-q", "chat.jsonl", "3"]) == 2
    assert TOLD in capsys.readouterr().err
    assert run(["clean", "chat.jsonl", "--in-place"]) == 3
    assert TOLD in capsys.readouterr().err
    assert pictures(file) == [0, 0, 0]
    assert said(file, 3) == LONG["mes"]


def test_a_line_that_breaks_is_passed_over_by_reconcile(capsys) -> None:
    file = three(second=message(tag("a boat")))
    assert run(["illustrate", "-q", "chat.jsonl"]) == 0
    lines = file.read_text().splitlines()
    whole = json.loads(lines[3])
    lines[2] = "{broken"
    lines[3] = json.dumps({**whole, "mes": tag("a cat")})
    file.write_text("\n".join(lines))
    capsys.readouterr()
    assert run(["reconcile", "chat.jsonl"]) == 3
    assert "line 3," in capsys.readouterr().err
    assert said(file, 4) == whole["mes"]
    assert run(["reconcile", "chat.jsonl", "--dry-run"]) == 3


def test_a_message_that_cannot_be_written_fails_alone(monkeypatch, capsys) -> None:
    file = three(second=message(tag("a boat")))
    write = ChatFileStore.write

    def failing(store, message_id, *arguments, **named):
        if message_id == "3":
            raise StoreFailed("line 3 is stuck")
        return write(store, message_id, *arguments, **named)

    monkeypatch.setattr(ChatFileStore, "write", failing)
    assert run(["illustrate", "chat.jsonl", "--slots", "1"]) == 3
    assert pictures(file) == [1, 0, 1]
    assert "line 3 is stuck" in capsys.readouterr().err


def test_a_disk_that_takes_nothing_ends_the_work(monkeypatch, capsys) -> None:
    chat("chat.jsonl", *(message(tag(f"door {number}")) for number in range(30)))

    def failing(*_arguments, **_named):
        raise StoreFailed("No space left on device")

    monkeypatch.setattr(ChatFileStore, "write", failing)
    assert run(["illustrate", "chat.jsonl", "--slots", "1"]) == 1
    err = capsys.readouterr().err
    assert err.count("wanted  ") < 15
    assert "too much has failed; the rest was not begun" in err
