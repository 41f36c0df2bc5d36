"""The self-contained page of an illustrated text."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.command_line import clear_environment
from support.illustrated import story, tag

from limner.messages import Settings
from limner.scripts.html_page import (
    LONGEST,
    PictureFile,
    check_page,
    html_page,
    page_of_file,
    page_path,
    pictures_of,
    write_page,
)
from limner.scripts.reading import Unusable

SETTINGS = Settings(markup="markdown")
ID = "0123456789abcdef" * 2
MARK = f'![a cat](pictures/{ID}.png)<!--data-limner="{"a" * 20}:{ID}"-->'
PIXEL = PictureFile(b"\x89PNG data", "image/png")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to an empty working folder, without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    clear_environment(monkeypatch)
    return tmp_path


class Elements(HTMLParser):
    """Collects the elements of a page, with their attributes, and its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


def page(text: str, **options: bool) -> Elements:
    """Return the page of a text, all of whose pictures are there."""
    return Elements(
        html_page(text, title="t", picture=lambda _: PIXEL, notation=SETTINGS.notation, **options)
    )


KNOWN = {
    *("html", "head", "meta", "title", "style", "body", "header", "section", "span", "img", "div"),
    *("p", "em", "strong", "a", "ul", "ol", "li", "blockquote", "pre", "code", "hr", "br"),
    *("h1", "h2", "h3", "h4", "h5", "h6"),
}
PIECES = st.sampled_from([
    tag("a cat"), MARK, "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\n", "\n\n",
    "# ", "> ", "- ", "1. ", "*", "**", "`", "```", "    ", "[a](", "![a](", ")", "](", '"', "'",
    "<", ">", "javascript:alert(1)", "http://a.example", ' "', "onclick=x ", "&lt;", "\ue000",
    "0", "\ue001", "</style>", "[x]: http://a '", "words",
])  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join), st.booleans())
def test_nothing_in_a_text_becomes_code_or_is_loaded(text: str, markdown: bool) -> None:
    shown = page(text, markdown=markdown)
    for name, attributes in shown.found:
        assert name in KNOWN
        assert not [key for key in attributes if key.startswith("on")]
        if name == "img":
            assert str(attributes["src"]).startswith("data:image/png;base64,")
        if name == "a":
            assert not str(attributes["href"]).lower().startswith(("javascript", "data", "vbs"))
    assert len(shown.named("style")) == 1


def test_each_picture_stands_in_the_page_with_its_prompt_below_it() -> None:
    file = story()
    shown = Elements(page_of_file(file, Path("pictures"), SETTINGS))
    sources = [str(attributes["src"]) for attributes in shown.named("img")]
    kept = {path.read_bytes() for path in Path("pictures").iterdir()}
    assert {base64.b64decode(source.partition(",")[2]) for source in sources} == kept
    assert len(sources) == 3
    for prompt in ("a red door", "a blue door", "a green door"):
        assert shown.words.count(prompt) == 1
    assert "img-prompt" not in shown.words
    assert "data-limner" not in shown.words


@pytest.mark.parametrize("around", ["{}", "> {}", "- {}", "```\n{}\n```", "    {}", "# {}", "`{}`"])
def test_a_picture_is_seen_wherever_it_stands(around: str) -> None:
    assert len(page(around.format(f"{tag('a cat')}{MARK}")).named("img")) == 1


def test_markdown_is_rendered_and_raw_html_is_shown() -> None:
    shown = page("# A title\n\nSome *words*, a [link](http://a.example) and <b>html</b>.")
    names = [name for name, _ in shown.found]
    assert {"h1", "em", "a"} <= set(names)
    assert "b" not in names
    assert "<b>html</b>" in shown.words


def test_other_texts_are_shown_as_they_are(folder: Path) -> None:
    assert "# A *title*" in page("# A *title*", markdown=False).words
    assert "# A" in page("# A " + "x" * LONGEST).words
    Path("a.txt").write_text("# A")
    assert "# A" in Elements(page_of_file(Path("a.txt"), folder, SETTINGS)).words


def test_what_has_no_picture_is_named() -> None:
    shown = html_page(
        f"{tag('a dog')} {tag('a cat')}{MARK} ",
        title="t", picture=lambda _: None, notation=SETTINGS.notation,
    )  # fmt: skip
    assert "no picture yet: a dog" in shown
    assert "the picture&#x27;s file is gone: a cat" in shown


def test_a_page_allows_no_script_and_no_address() -> None:
    policy = page("x").named("meta")[1]["content"]
    assert re.fullmatch(
        r"default-src 'none'; img-src data:; style-src 'sha256-[^']+'; "
        r"base-uri 'none'; form-action 'none'",
        str(policy),
    )


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "a" * 31, f"{ID}/x", "A" * 32])
def test_only_ids_name_files_of_pictures(name: str, folder: Path) -> None:
    (folder / "passwd").write_text("secret")
    assert pictures_of(folder)(name) is None


def test_a_picture_is_found_by_its_id_within_bounds(folder: Path) -> None:
    (folder / f"{ID}.gif").write_bytes(b"12345")
    assert pictures_of(folder)(ID) == PictureFile(b"12345", "image/gif")
    assert pictures_of(folder, max_bytes=4)(ID) is None
    (folder / f"{ID}.gif").write_bytes(b"")
    assert pictures_of(folder)(ID) is None


def test_a_page_goes_over_pages_only(folder: Path) -> None:
    mine = Path("mine.html")
    mine.write_text("<p>my own page</p>")
    with pytest.raises(Unusable, match="is no page of Limner"):
        write_page(mine, "x")
    (folder / "dir.html").mkdir()
    with pytest.raises(Unusable):
        check_page(Path("dir.html"))
    content = html_page("x", title="t", picture=lambda _: None, notation=SETTINGS.notation)
    for _ in range(2):
        write_page(Path("new.html"), content)
    assert Path("new.html").read_text() == content
    assert page_path(Path("a.html")) == Path("a.page.html")
