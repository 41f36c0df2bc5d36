"""A text that is illustrated again gets what it lacks, and nothing of it is lost."""

import shutil
from pathlib import Path

import pytest
from support.illustrated import PICTURE, THREE, chat, placements, said, story, tag

from limner.scripts.app import run

OUT = Path("story.illustrated.md")


@pytest.fixture(autouse=True)
def _instant(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_GENERATOR", "sketch")


def illustrated(text: str = THREE) -> str:
    """Illustrate story.md into its usual output, and return what that holds."""
    Path("story.md").write_text(text)
    assert run(["illustrate", "-q", "story.md"]) == 0
    return OUT.read_text()


def names() -> set[str]:
    return {path.name for path in Path().iterdir()}


def test_nothing_is_drawn_twice(capsys) -> None:
    once = illustrated()
    assert run(["illustrate", "story.md"]) == 0
    assert OUT.read_text() == once
    assert "every prompt has a picture" in capsys.readouterr().err
    assert len(list(Path("pictures").iterdir())) == 3


@pytest.mark.parametrize("output", ["other.md", "story.illustrated.md", "new/page.md", "-"])
def test_tags_that_have_a_picture_are_passed_over(output: str, capfdbinary) -> None:
    once = illustrated()
    OUT.write_text(f"{once} {tag('a cow')}")
    status = run(["illustrate", "-q", str(OUT), "-o", output, "--only-missing"])
    assert status == (3 if output == "new/page.md" else 0)  # whose pictures did not come with it
    text = capfdbinary.readouterr().out.decode() if output == "-" else Path(output).read_text()
    assert text.startswith(once)
    assert len(PICTURE.findall(text)) == 4


def test_a_copy_of_what_has_its_pictures_is_told(capsys) -> None:
    once = illustrated()
    capsys.readouterr()
    assert run(["illustrate", str(OUT)]) == 0
    told = capsys.readouterr().err
    assert told.startswith(
        "copied  story.illustrated.illustrated.md, since the source has pictures"
    )
    assert Path("story.illustrated.illustrated.md").read_text() == OUT.read_text() == once


def test_what_was_regenerated_in_the_output_stays() -> None:
    illustrated()
    assert run(["regenerate", "-q", str(OUT), "2", "--prompt", "a blue gate"]) == 0
    changed = OUT.read_text()
    Path("story.md").write_text(PICTURE.sub("", changed))
    assert run(["illustrate", "-q", "story.md"]) == 0
    assert OUT.read_text() == changed
    assert not Path("story.illustrated.md.bak").exists()


def test_a_source_that_has_changed_keeps_the_pictures_of_its_tags() -> None:
    illustrated()
    before = dict(zip(("red", "blue", "green"), placements(OUT), strict=True))
    edited = THREE.replace(tag("a blue door"), tag("a cow")).replace("Three", "Drei")
    Path("story.md").write_text(edited)
    assert run(["illustrate", "-q", "story.md"]) == 0
    after = placements(OUT)
    assert PICTURE.sub("", OUT.read_text()) == edited
    assert [after[0], after[2]] == [before["red"], before["green"]]
    assert before["blue"] not in after
    assert "story.illustrated.md.bak" not in names()  # as Limner had written it
    assert run(["reconcile", "-q", str(OUT)]) == 0


def test_an_output_that_a_person_has_changed_is_kept(capsys) -> None:
    once = illustrated()
    OUT.write_text(f"{once} by hand")
    assert run(["illustrate", "story.md"]) == 0
    assert OUT.read_text() == once
    assert Path("story.illustrated.md.bak").read_text() == f"{once} by hand"
    assert "kept    story.illustrated.md.bak, which Limner had not written" in (
        capsys.readouterr().err
    )
    OUT.write_text("another")
    assert run(["illustrate", "-q", "story.md"]) == 0
    assert Path("story.illustrated.md.bak.2").read_text() == "another"


@pytest.mark.parametrize("more", [[], ["--rate", "100000"]])
def test_a_file_of_somebody_else_is_kept(more: list[str]) -> None:
    Path("notes.md").write_text("my notes")
    Path("story.md").write_text(THREE)
    assert run(["illustrate", "-q", "story.md", "-o", "notes.md", *more]) == 0
    assert Path("notes.md.bak").read_text() == "my notes"
    Path("more.md").write_text("more notes")
    assert run(["illustrate", "-q", "story.md", "-o", "more.md", "--force", *more]) == 0
    assert not Path("more.md.bak").exists()
    chat()
    Path("notes.jsonl").write_text("my notes")
    assert run(["illustrate", "-q", "chat.jsonl", "-o", "notes.jsonl"]) == 0
    assert Path("notes.jsonl.bak").read_text() == "my notes"


@pytest.mark.parametrize(("mode", "number"), [("append", 6), ("replace", 3)])
def test_a_mode_is_for_texts_too(mode: str, number: int) -> None:
    illustrated()
    before = set(placements(OUT))
    assert run(["illustrate", "-q", "story.md", "--mode", mode]) == 0
    after = placements(OUT)
    assert len(after) == number
    assert len(before & set(after)) == (3 if mode == "append" else 0)


# clean


def test_clean_leaves_the_file_as_it_is(capsys) -> None:
    whole = illustrated()
    for _ in range(2):
        assert run(["clean", str(OUT), "--keep", "prompts"]) == 0
    assert OUT.read_text() == whole
    assert Path("story.illustrated.clean.md").read_text() == THREE
    assert "written story.illustrated.clean.md" in capsys.readouterr().err
    assert not [name for name in names() if ".bak" in name]
    Path("story.illustrated.clean.md").write_text("mine")
    assert run(["clean", "-q", str(OUT), "--keep", "prompts"]) == 0
    assert Path("story.illustrated.clean.md.bak").read_text() == "mine"


def test_a_chat_is_cleaned_into_a_copy() -> None:
    file = chat()
    assert run(["illustrate", "-q", "chat.jsonl"]) == 0
    whole = file.read_bytes()
    for _ in range(2):
        assert run(["clean", "-q", "chat.jsonl"]) == 0
    assert file.read_bytes() == whole
    assert said("chat.clean.jsonl", 2) == "Hello  there ."
    assert "chat.clean.jsonl.bak" not in names()


def test_in_place_keeps_what_there_was_each_time() -> None:
    whole = illustrated()
    Path("story.illustrated.md.bak").write_text("an older one")
    assert run(["clean", "-q", "--in-place", str(OUT)]) == 0
    assert Path("story.illustrated.md.bak").read_text() == "an older one"
    assert Path("story.illustrated.md.bak.2").read_text() == whole
    assert run(["clean", "-q", "--in-place", str(OUT)]) == 0
    assert "story.illustrated.md.bak.3" not in names()


# files that are gone


@pytest.fixture(params=["text", "chat"])
def without_files(request: pytest.FixtureRequest) -> str:
    """Illustrate a file, and delete its pictures."""
    if request.param == "text":
        story()
    else:
        chat()
        assert run(["illustrate", "-q", "chat.jsonl"]) == 0
    shutil.rmtree("pictures")
    return "story.md" if request.param == "text" else "chat.jsonl"


def test_files_that_are_gone_are_told(without_files: str, capsys) -> None:
    output = ["-o", without_files] if without_files == "story.md" else []
    for command, status in ((["pictures"], 0), (["reconcile"], 3), (["illustrate", *output], 3)):
        assert run([*command, without_files]) == status
        captured = capsys.readouterr()
        assert "3 pictures have no file any more in pictures; put the files back" in captured.err
        assert captured.out.count("\tlost\t") == (3 if command == ["pictures"] else 0)
    assert not Path("pictures").exists()


@pytest.mark.parametrize("command", ["reconcile", "illustrate"])
def test_files_that_are_gone_are_made_again(command: str, without_files: str, capsys) -> None:
    output = ["-o", without_files] if (command, without_files) == ("illustrate", "story.md") else []
    assert run([command, without_files, *output, "--redraw"]) == 0
    assert len(list(Path("pictures").iterdir())) == 3
    capsys.readouterr()
    assert run(["pictures", without_files]) == 0
    captured = capsys.readouterr()
    assert captured.out.count("\tstands\t") == 3
    assert "no file" not in captured.err


def test_one_file_that_is_gone_is_made_again_alone() -> None:
    file = story()
    before = placements(file)
    next(Path("pictures").glob(f"{before[1].partition(':')[2]}.*")).unlink()
    assert run(["reconcile", "-q", "story.md", "--redraw"]) == 0
    after = placements(file)
    assert (after[0], after[2]) == (before[0], before[2])
    assert len(list(Path("pictures").iterdir())) == 3


# the page


def test_a_page_is_written_beside_the_output(capsys) -> None:
    Path("story.md").write_text(THREE)
    assert run(["illustrate", "story.md", "--html"]) == 0
    assert capsys.readouterr().err.endswith("page    story.illustrated.html\n")
    assert Path("story.illustrated.html").read_text().count("data:image/png") == 3
    assert run(["illustrate", "-q", "story.md", "--html", "--mode", "append"]) == 0
    assert Path("story.illustrated.html").read_text().count("data:image/png") == 6
    chat()
    assert run(["illustrate", "-q", "chat.jsonl", "--html"]) == 0
    assert Path("chat.html").read_text().count("data:image/png") == 3


def test_a_page_that_is_not_limners_is_left(capsys) -> None:
    Path("story.md").write_text(THREE)
    Path("story.illustrated.html").write_text("mine")
    assert run(["illustrate", "story.md", "--html"]) == 2
    assert run(["illustrate", "story.md", "-o", "-", "--html"]) == 2
    assert not OUT.exists()
    assert Path("story.illustrated.html").read_text() == "mine"
