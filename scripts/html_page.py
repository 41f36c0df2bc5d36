"""One self-contained HTML page of an illustrated text, to look at: `html_page`, `write_page`.

`limner illustrate --html` and the demo write it; `page_of_file` makes the page of a text file. The
pictures stand in the page as `data:` URLs, each with its prompt below it. There is no script in it,
its Content-Security-Policy allows none, and nothing is loaded from anywhere. Markdown is rendered
by markdown-it with raw HTML switched off; any other text is shown as it is. What others wrote is
escaped throughout.
"""

import base64
import hashlib
import html
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from limner.actors.stores.atomic_files import write_temporary
from limner.messages.errors import StoreFailed
from limner.messages.registry import Registry
from limner.messages.settings import Settings
from limner.messages.text.mark_editor import MarkEditor
from limner.messages.text.notation import Notation
from limner.messages.text.prompt_tags import PromptTags
from limner.scripts.reading import Unusable

MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
}
"""The media types of kept pictures, by how their file names end."""

GENERATOR = '<meta name="generator" content="Limner page">'
"""Stands in each page, so that a page may be written over by the next one, and nothing else is."""

AS_IT_IS = {".txt", ".html", ".htm", ".xhtml"}
"""Ends of names of files whose text is shown as it is; any other is taken for Markdown."""

LONGEST_PROMPT = 500
"""Characters of a prompt that are shown."""

LONGEST = 100_000
"""Characters that are rendered as Markdown at most; a longer text is shown as it is."""

STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 42rem; padding: 2rem 1rem 6rem; line-height: 1.6;
  font-family: Georgia, "Times New Roman", serif; overflow-wrap: anywhere; }
header { font: 0.9rem system-ui, sans-serif; opacity: 0.7; margin-bottom: 2rem; }
.picture { display: block; margin: 1.5rem 0; text-align: center; }
.picture img { max-width: 100%; height: auto; border-radius: 6px; }
.prompt { display: block; font: italic 0.85rem system-ui, sans-serif; opacity: 0.75; }
.missing { border: 1px dashed; border-radius: 6px; padding: 0.3rem 0.6rem;
  font: 0.85rem system-ui, sans-serif; opacity: 0.7; }
pre, .plain { white-space: pre-wrap; }
section + section { border-top: 1px solid #8886; margin-top: 2rem; }
""".strip()

_ID = re.compile(r"[0-9a-f]{32}")


class Passage(NamedTuple):
    """A text of a page: a whole file, or a message of a chat.

    Args:
        text: as it was illustrated.
        heading: stands above it; none if empty.
    """

    text: str
    heading: str = ""


class PictureFile(NamedTuple):
    """The bytes of a picture, and their media type."""

    data: bytes
    media_type: str


FindPicture = Callable[[str], PictureFile | None]
"""Returns a picture by its id, which is 32 hexadecimal digits; `None` if it is not there."""


def pictures_of(directory: Path, *, max_bytes: int = 32 * 2**20) -> FindPicture:
    """Return a function that finds the pictures that are kept in a directory.

    Args:
        directory: where they are kept.
        max_bytes: a larger file counts as not there.
    """

    def find(picture_id: str) -> PictureFile | None:
        if not _ID.fullmatch(picture_id):  # it stood in a text, and is about to name a file
            return None
        for end, media_type in MEDIA_TYPES.items():
            path = directory / f"{picture_id}.{end}"
            try:
                if path.is_file() and 0 < path.stat().st_size <= max_bytes:
                    return PictureFile(path.read_bytes(), media_type)
            except OSError:
                continue
        return None

    return find


def page_path(output: Path) -> Path:
    """Return where the page of an output goes: beside it, by its name, and never over it."""
    page = output.with_suffix(".html")
    return output.with_suffix(".page.html") if page == output else page


def check_page(page: Path) -> None:
    """Check that a page can be written: nothing is there, or an earlier page.

    Raises:
        Unusable: if something else is there.
    """
    try:
        if not os.path.lexists(page):
            return
        if page.is_file():
            with page.open("rb") as file:
                if GENERATOR.encode() in file.read(4_096):
                    return
    except OSError as error:
        raise Unusable(f"--html: {str(page)!r} cannot be read: {error.strerror}") from error
    raise Unusable(
        f"--html: {str(page)!r} is there, and is no page of Limner; move it, or name another "
        "output with -o"
    )


def write_page(page: Path, content: str) -> None:
    """Write a page, whole or not at all.

    Raises:
        Unusable: if something is there that is no page of Limner.
        StoreFailed: if it cannot be written.
    """
    check_page(page)
    try:
        temporary = write_temporary(page.parent, content.encode(errors="replace"))
        try:
            temporary.replace(page)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StoreFailed(f"{page} cannot be written: {error.strerror or error}") from error


def page_of_file(file: Path, pictures: Path, settings: Settings) -> str:
    """Return the page of an illustrated text file.

    Args:
        file: the text.
        pictures: the directory of its pictures.
        settings: how prompts and pictures stand in the text.

    Raises:
        StoreFailed: if it cannot be read.
    """
    try:
        text = file.read_bytes().decode(errors="replace")
    except OSError as error:
        raise StoreFailed(f"{file} cannot be read: {error.strerror or error}") from error
    return html_page(
        text,
        title=file.name,
        picture=pictures_of(pictures, max_bytes=settings.max_picture_bytes),
        notation=settings.notation,
        markdown=file.suffix.lower() not in AS_IT_IS,
    )


def html_page(
    passages: str | Sequence[Passage],
    *,
    title: str,
    picture: FindPicture,
    notation: Notation,
    markdown: bool = True,
) -> str:
    """Return a page that shows an illustrated text.

    Args:
        passages: the text, or the messages of a chat.
        title: of the page, such as the name of the file.
        picture: returns the bytes of a picture; see `pictures_of`.
        notation: how prompts and pictures stand in the text.
        markdown: whether the text is Markdown; else it is shown as it is.
    """
    if isinstance(passages, str):
        passages = [Passage(passages)]
    body = "\n".join(_section(passage, picture, notation, markdown) for passage in passages)
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    name = html.escape(title)
    return f"""<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
{GENERATOR}
<title>{name}</title>
<style>{STYLE}</style>
</head>
<body>
<header>{name}</header>
{body}
</body>
</html>
"""


def _section(passage: Passage, picture: FindPicture, notation: Notation, markdown: bool) -> str:
    """Return one passage as a section of a page."""
    text, figures = _with_sentinels(passage.text, picture, notation)
    if markdown and len(text) <= LONGEST:
        body = _rendered(text, figures)
    else:
        body = f'<div class="plain">{_filled(html.escape(text), figures)}</div>'
    heading = f"<h2>{html.escape(passage.heading)}</h2>\n" if passage.heading else ""
    return f"<section>\n{heading}{body}\n</section>"


_SENTINEL = re.compile("\ue000([0-9]+)\ue001")
_OPEN, _CLOSE = "\ue000", "\ue001"


def _with_sentinels(text: str, picture: FindPicture, notation: Notation) -> tuple[str, list[str]]:
    """Return a text in which marks and tags are sentinels, and the HTML that each stands for.

    A prompt tag that has a picture becomes nothing: the picture shows its prompt.
    """
    tags = PromptTags(text, Registry(), message_id="page", notation=notation)
    editor = MarkEditor(tags)
    spans: list[tuple[int, int, str]] = []
    with_picture: set[int] = set()
    for mark in editor.marks:
        at = editor.tag_before.get(mark.id)
        prompt = "" if at is None else tags.prompt(at).text
        shows = ""
        if mark.kind == "picture" and mark.foreign:
            shows = _missing("a picture that another program has put in", prompt)
        elif mark.kind == "picture":
            shows = _figure(picture(mark.id.partition(":")[2]), prompt)
        elif mark.kind == "failure":
            shows = _missing("no picture", prompt)
        spans.append((mark.start, mark.end, shows))
        if at is not None and shows:
            with_picture.add(at)
    for number, match in enumerate(tags.matches):
        shows = "" if number in with_picture else _missing("no picture yet", match.text)
        spans.append((match.start, match.end, shows))
    figures: list[str] = []
    parts: list[str] = []
    done = 0
    for start, end, shows in sorted(spans):
        if start < done:
            continue
        parts.append(_plain(text[done:start]))
        if shows:
            parts.append(f"{_OPEN}{len(figures)}{_CLOSE}")
            figures.append(shows)
        done = end
    parts.append(_plain(text[done:]))
    return "".join(parts), figures


def _plain(text: str) -> str:
    """Return a text without the two characters that sentinels are made of."""
    return text.replace(_OPEN, "\ufffd").replace(_CLOSE, "\ufffd")


def _figure(file: PictureFile | None, prompt: str) -> str:
    """Return the HTML of a picture with its prompt below it."""
    if file is None:
        return _missing("the picture's file is gone", prompt)
    words = html.escape(prompt[:LONGEST_PROMPT])
    data = base64.b64encode(file.data).decode()
    return (
        f'<span class="picture"><img alt="{words}" src="data:{file.media_type};base64,{data}">'
        f'<span class="prompt">{words}</span></span>'
    )


def _missing(why: str, prompt: str) -> str:
    """Return the HTML of a picture that is not there."""
    what = f"{why}: {prompt[:LONGEST_PROMPT]}" if prompt else why
    return f'<span class="missing">{html.escape(what)}</span>'


def _filled(escaped: str, figures: Sequence[str]) -> str:
    """Return escaped text with the HTML that its sentinels stand for."""
    return _SENTINEL.sub(lambda found: figures[int(found[1])], escaped)


def _rendered(text: str, figures: Sequence[str]) -> str:
    """Return a Markdown text as HTML. Sentinels are filled in where text stands, nowhere else."""
    from markdown_it import MarkdownIt

    def show(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
        del renderer, options, env
        return _filled(html.escape(tokens[index].content), figures)

    def show_block(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
        return f"<pre>{show(renderer, tokens, index, options, env)}</pre>\n"

    def show_image(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
        del renderer, options, env
        words = tokens[index].content or tokens[index].attrGet("src") or ""
        return f'<span class="missing">{_filled(html.escape(str(words)), figures)}</span>'

    renderer = MarkdownIt("commonmark", {"html": False})
    for rule in ("text", "code_inline"):
        renderer.add_render_rule(rule, show)
    for rule in ("fence", "code_block"):
        renderer.add_render_rule(rule, show_block)
    renderer.add_render_rule("image", show_image)
    # what is left stands in an attribute
    return _SENTINEL.sub("", str(renderer.render(text)))
