"""Illustrated files, for tests of the commands that change them."""

import json
import re
from pathlib import Path
from typing import Any

from limner.scripts.app import run

PICTURE = re.compile(r'\n?!\[[^]]*\]\(([^)]*)\)<!--data-limner="([^"]*)"-->')


def tag(prompt: str) -> str:
    return f'<!--img-prompt="{prompt}"-->'


THREE = f"One. {tag('a red door')} Two. {tag('a blue door')}\nThree. {tag('a green door')} End.\n"


def story(name: str = "story.md", text: str = THREE) -> Path:
    """Write a text file, illustrate it in place, and return its path."""
    file = Path(name)
    file.write_text(text)
    assert run(["illustrate", name, "-o", name, "--quiet"]) == 0
    return file


def placements(file: Path | str) -> list[str]:
    """Return the ids of the pictures in a text, in its order."""
    return [found[2] for found in PICTURE.finditer(Path(file).read_text())]


HEADER = {"user_name": "U", "character_name": "C", "chat_metadata": {"note": "é", "n": 1.0}}


def message(text: str, **more: Any) -> dict[str, Any]:
    return {"name": "C", "is_user": False, "mes": text, "extra": {"big": 10**25}, **more}


MESSAGES = [
    message(f"Hello {tag('a red door')} there {tag('a cat')}."),
    message(f"I say {tag('mine')}", is_user=True),
    message("No picture."),
    message(f"End {tag('a boat')}", swipes=["other", f"End {tag('a boat')}"], swipe_id=1),
    message(tag("hidden"), is_system=True),
]


def chat(name: str = "chat.jsonl", *lines: Any) -> Path:
    """Write a chat file that is not illustrated, and return its path."""
    file = Path(name)
    file.write_text("".join(f"{json.dumps(one)}\r\n" for one in (HEADER, *(lines or MESSAGES))))
    return file


def said(file: Path | str, line: int) -> str:
    """Return the text of a message of a chat."""
    text: str = json.loads(Path(file).read_text().splitlines()[line - 1])["mes"]
    return text


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return the bytes and times of a folder's files, without those that SQLite makes to read."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }
