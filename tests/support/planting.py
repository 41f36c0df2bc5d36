"""Plants a bug in a copy of the sources: finds the function it is pinned to, and edits it.

A function is found by its qualified name, in whatever file it stands, and compared as
`ast.unparse` writes it: without comments, with single quotes, each statement on one line. So a
bug outlives moves, re-indentation, other line breaks and other comments. It is to be written anew
only when the statements that it replaces change, or the name of their function. Where several
functions have the name, the bug is for the only one that its old text fits.
"""

from __future__ import annotations

import ast
import re
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import NamedTuple

FOLDERS = ("actors", "messages", "scripts")

Function = ast.FunctionDef | ast.AsyncFunctionDef


class NotPlantable(Exception):
    """The code has changed since the bug was written."""


_parsing = threading.Lock()
"""`ast.parse` in two threads at once may raise a SystemError (CPython 3.11, issue 106905)."""

CHAOS = "chaos"
"""The scenario that has every fault."""


@dataclass(frozen=True)
class Bug:
    """A small mistake in one function.

    Args:
        name: what it is called.
        what: what goes wrong, in a sentence.
        function: where, by its qualified name: `compose`, `Lane.release`, or `outer.inner` for a
            function within another.
        old: what stands there, exactly once: statements, or a part of a line. Statements may be
            copied as they stand in the source; indentation counts only among its own lines.
        new: what is put in its place, indented as `old` is; `pass` where statements are left out.
        scenario: what is simulated to catch it: the one in which it does most harm.
    """

    name: str
    what: str
    function: str
    old: str
    new: str
    scenario: str = CHAOS


class Edit(NamedTuple):
    """What planting a bug changes.

    Args:
        path: of the file that it is in.
        source: of that file, with the bug.
        diff: of the function, as a unified diff.
    """

    path: Path
    source: str
    diff: str


def plant(bug: Bug, root: Path) -> None:
    """Write a bug into the sources below a folder.

    Args:
        bug: what to plant.
        root: the folder in which `actors`, `messages` and `scripts` are.

    Raises:
        NotPlantable: as `edit` does.
    """
    with _parsing:
        path, source, _ = edit(bug, root)
    path.write_text(source, "utf-8")


def edit(bug: Bug, root: Path) -> Edit:
    """Return what planting a bug would change in the sources below a folder.

    Raises:
        NotPlantable: if there is no such function, if none or more than one of that name has the
            old text exactly once, or if what comes out is no other Python.
    """
    old = _normal(bug.old)
    found = list(_find(bug.function, root))
    files = ", ".join(path.relative_to(root).as_posix() for path, *_ in found)
    fitting = [place for place in found if len(_occurrences(old, place.source)) == 1]
    match found, fitting:
        case [], _:
            raise NotPlantable(
                f"{bug.name}: there is no function {bug.function}, so the bug must be written anew"
            )
        case [place], []:
            times = len(_occurrences(old, place.source))
            raise NotPlantable(
                f"{bug.name}: {bug.function} in {files} has changed (what is to be replaced "
                f"stands in it {times} times, not once), so the bug must be written anew.\n\n"
                f"It is looked for as:\n\n{old}\n\nThe function is now:\n\n{place.source}\n"
            )
        case _, [place]:
            return _edited(bug, old, place, root)
    raise NotPlantable(
        f"{bug.name}: there are {len(found)} functions {bug.function}, in {files}; what is to be "
        f"replaced stands once in {len(fitting)} of them, so the bug must be written anew"
    )


class _Place(NamedTuple):
    """Where a function stands: the file, its tree, and the body and the index in that body."""

    path: Path
    tree: ast.Module
    body: list[ast.stmt]
    index: int

    @property
    def source(self) -> str:
        """The function's source, as `ast.unparse` writes it."""
        return ast.unparse(self.body[self.index])


def _find(function: str, root: Path) -> Iterator[_Place]:
    """Yield the functions of a qualified name in the sources below a folder."""
    definition = re.compile(rf"\bdef {re.escape(function.rpartition('.')[2])}\b")
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        source = path.read_text("utf-8")
        if definition.search(source):
            tree = ast.parse(source)
            for name, body, index in _functions(tree):
                if name == function:
                    yield _Place(path, tree, body, index)


def _functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, list[ast.stmt], int]]:
    """Yield the qualified name of each function below a node, the body it stands in, and where."""
    for _, body in ast.iter_fields(node):
        if not isinstance(body, list):
            continue
        for index, child in enumerate(body):
            if isinstance(child, Function | ast.ClassDef):
                name = prefix + child.name
                if isinstance(child, Function):
                    yield name, body, index
                yield from _functions(child, f"{name}.")
            elif isinstance(child, ast.AST):
                yield from _functions(child, prefix)


def _edited(bug: Bug, old: str, place: _Place, root: Path) -> Edit:
    """Return what a bug changes in the function that it fits."""
    before = place.source
    [(start, indent)] = _occurrences(old, before)
    new = textwrap.dedent(bug.new).strip("\n").replace("\n", "\n" + indent)
    after = before[:start] + new + before[start + len(old.replace("\n", "\n" + indent)) :]
    try:
        place.body[place.index : place.index + 1] = ast.parse(after).body
        source = ast.unparse(place.tree) + "\n"
        compile(source, str(place.path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise NotPlantable(f"{bug.name}: what it leaves is not Python: {error}") from error
    after = place.source
    if after == before:
        raise NotPlantable(f"{bug.name}: it changes nothing")
    file = place.path.relative_to(root).as_posix()
    lines = unified_diff(before.splitlines(), after.splitlines(), file, bug.name, lineterm="")
    return Edit(place.path, source, "\n".join(lines))


def _occurrences(old: str, source: str) -> list[tuple[int, str]]:
    """Return where a text begins in a source, at any indentation, and the indentation there."""
    found = []
    line_start = 0
    for line in source.splitlines(keepends=True):
        indent = line[: len(line) - len(line.lstrip(" "))]
        text = old.replace("\n", "\n" + indent)
        start = source.find(text, line_start)
        while 0 <= start < line_start + len(line):
            found.append((start, indent))
            start = source.find(text, start + 1)
        line_start += len(line)
    return found


def _normal(text: str) -> str:
    """Return statements as `ast.unparse` writes them; what is not whole statements, as it is."""
    text = textwrap.dedent(text).strip("\n")
    for end in ("", "\n    pass"):  # a header alone has no body yet
        try:
            return ast.unparse(ast.parse(text + end)).removesuffix(end)
        except SyntaxError:
            pass
    return text
