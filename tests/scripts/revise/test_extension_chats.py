"""Files that SillyTavern's auto-illustrator extension has illustrated."""

import json
from pathlib import Path

import pytest
from support.extension import image, older
from support.illustrated import PICTURE, chat, message, said, tag

from limner.scripts.app import run

CAT, DOG, COW = tag("a cat"), tag("a dog"), tag("a cow")
SHOWN = image("a cat", "/user/images/C/cat.png", prompt_id="p1")
FAILED = image("a dog", "", prompt_id="p2", failed=True)
BARE = f"One {CAT} two.\n\nThree {DOG} four {COW} five."
TEXT = BARE.replace(CAT, CAT + SHOWN).replace(DOG, DOG + FAILED)
OLD = f"Old {tag('a hen')}{older('a hen', '/hen.png')}\n\nEnd."


@pytest.fixture(params=["chat.jsonl", "story.md"])
def file(request, folder: Path) -> Path:
    """Return a chat or a text that the extension has illustrated in part."""
    if request.param == "chat.jsonl":
        return chat("chat.jsonl", message(TEXT), message(OLD))
    Path("story.md").write_text(TEXT)
    return Path("story.md")


def text(file: Path) -> str:
    return said(file, 2) if file.suffix == ".jsonl" else file.read_text()


def test_only_what_is_missing_is_drawn_and_nothing_twice(file, capsys):
    arguments = ["illustrate", str(file), "-o", str(file)]
    assert run([*arguments, "--only-missing"]) == 0
    told = capsys.readouterr().err
    assert [line for line in told.splitlines() if line.startswith("wanted")] == [
        "wanted  a dog",
        "wanted  a cow",
    ]
    once = text(file)
    assert PICTURE.sub("", once) == BARE.replace(CAT, CAT + SHOWN)
    assert len(PICTURE.findall(once)) == len(list(Path("pictures").iterdir())) == 2
    for more in ([], ["--only-missing"]):
        assert run([*arguments, *more]) == 0
        assert "every prompt has a picture" in capsys.readouterr().err
        assert text(file) == once


def test_a_file_that_needs_nothing_is_left_as_it_is(folder, capsys):
    del folder
    file = chat("chat.jsonl", message(OLD))
    before = file.read_bytes()
    assert run(["illustrate", "chat.jsonl"]) == 0
    assert "was left as it is: every prompt has a picture" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_clean_takes_out_the_images_and_nothing_else(file, capsys):
    kept = file.read_bytes()
    assert run(["clean", str(file), "--keep", "prompts"]) == 0
    pictures = 2 if file.suffix == ".jsonl" else 1
    assert f"{pictures} picture" in (told := capsys.readouterr().err)
    assert "1 mark of a failure" in told
    clean = file.with_name(f"{file.stem}.clean{file.suffix}")
    assert text(clean) == BARE
    assert file.read_bytes() == kept


def test_pictures_lists_the_images_beside_their_prompts(file, capsys):
    assert run(["pictures", str(file), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["messages"][0]["prompts"]
    assert [prompt["prompt"] for prompt in first] == ["a cat", "a dog", "a cow"]
    (picture,) = first[0]["pictures"]
    assert (picture["number"], picture["url"]) == (1, "/user/images/C/cat.png")
    (failure,) = first[1]["failures"]
    assert failure["reason"] == "Image generation failed: a dog\nClick to retry"


def test_regenerate_works_on_an_image_and_on_one_that_failed(file):
    assert run(["regenerate", "-q", str(file), "1", "--failed"]) == 0
    assert PICTURE.sub("", text(file)) == BARE
    assert len(PICTURE.findall(text(file))) == 2
    assert run(["regenerate", "-q", str(file), "1", "--prompt", "a tiger"]) == 0
    assert PICTURE.sub("", text(file)) == BARE.replace("a cat", "a tiger")


def test_a_page_says_that_an_image_is_of_another_program(folder):
    del folder
    Path("story.md").write_text(TEXT)
    assert run(["illustrate", "-q", "story.md", "--html"]) == 0
    page = Path("story.illustrated.html").read_text()
    assert page.count("a picture that another program has put in: a cat") == 1
    assert "/user/images" not in page
