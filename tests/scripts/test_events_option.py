"""`--events` names a log, and never a file that is something else."""

from pathlib import Path

import pytest
from support.command_line import clear_environment
from support.illustrated import THREE, chat, contents, story

from limner.scripts.app import run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty working folder, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    clear_environment(monkeypatch)
    monkeypatch.setenv("LIMNER_GENERATOR", "instant")
    return tmp_path


def prepare(folder: Path) -> dict[str, tuple[bytes, int]]:
    Path("story.md").write_text(THREE)
    Path("notes.txt").write_text("my notes")
    Path("empty.md").touch()
    Path("link.jsonl").symlink_to("empty.md")
    Path("hard.jsonl").hardlink_to("story.md")
    chat()
    story("done.md")
    return contents(folder)


@pytest.mark.parametrize(
    ("arguments", "log", "told"),
    [
        (["story.md"], "story.md", "is the source"),
        (["story.md"], "./hard.jsonl", "is the source"),
        (["empty.md"], "empty.md", "is the source"),
        (["empty.md"], "link.jsonl", "is the source"),
        (["story.md"], "story.illustrated.md", "is the output"),
        (["story.md", "-o", "new/out.md"], "new/../new/out.md", "is the output"),
        (["chat.jsonl"], "chat.jsonl", "is the source"),
        (["chat.jsonl"], "chat.jsonl.bak", "is the copy of the chat as it was"),
        (["chat.jsonl"], ".limner-chat.jsonl.kept", "is one of Limner's own files"),
        (["story.md"], ".limner.sqlite", "is one of Limner's own files"),
        (["story.md"], "notes.txt", "holds something else than events"),
        (["story.md"], "PICTURE", "holds something else than events"),
    ],
)
def test_a_file_that_is_no_log_is_refused(arguments, log, told, folder, capsys) -> None:
    before = prepare(folder)
    if log == "PICTURE":
        log = str(next(Path("pictures").iterdir()))
    capsys.readouterr()
    assert run(["illustrate", *arguments, "--events", log]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.count("\n") == 1
    assert contents(folder) == before


@pytest.mark.parametrize(
    "command", [["regenerate", "done.md", "1"], ["clean", "done.md", "--in-place"]]
)
def test_the_environment_may_not_name_the_text_either(command, folder, monkeypatch) -> None:
    before = prepare(folder)
    monkeypatch.setenv("LIMNER_EVENTS", "done.md")
    assert run([*command, "-q"]) == 2
    assert contents(folder) == before


def test_a_log_that_is_there_is_appended_to() -> None:
    Path("story.md").write_text(THREE)
    for _ in range(2):
        assert run(["illustrate", "story.md", "-q", "--events", "events.jsonl"]) == 0
    assert Path("events.jsonl").read_text().count('"studio_opened"') == 2
