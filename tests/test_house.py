"""The house: its two import rules, each shown to be able to fail, and its packages."""

import ast
import configparser
import graphlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("actors", "messages", "scripts")
OF_THE_SYSTEM = frozenset(["time", "threading", "random", "uuid", "concurrent", "queue", "asyncio"])
IMPURE = OF_THE_SYSTEM | frozenset(
    ["os", "io", "socket", "subprocess", "datetime", "secrets", "importlib"]
)
WAY = ("messages", "actors", "scripts")
APART = ("system", "generators", "stores")
# who may import each of these; what is not named here may be imported by every actor
IMPORTED_BY = {
    "studio": {"__init__"},
    "root": {"__init__", "studio"},
    "session": {"studio", "root", "regeneration"},
    "regeneration": {"studio", "root"},
    "editor": {"root"},
    "revisions": {"studio"},
    "edits": {"revisions"},
    "writes": {"writer", "editor"},
    "stream": {"__init__", "studio", "revisions", "edits", "monitor"},
    "monitor": {"session"},
    "processor": {"session"},
    "writer": {"session"},
    "limiter": {"studio", "root"},
    "recorder": {"studio", "root"},
    "limits": {"__init__", "studio"},
    "calls": {"limits", "root"},
}


def sources() -> dict[str, str]:
    """Give the source of every module, by its name without `limner.`."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text("utf-8")
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


SOURCES = sources()


def imported(source: str, known: Mapping[str, str] = SOURCES) -> Iterator[tuple[str, str]]:
    """Give each import of a source as module and name, those within a function too.

    A module of the house is given as the file that it is: `limner.messages` and
    `from limner import messages` are both `limner.messages.__init__`.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((_file(alias.name, known), "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            for alias in node.names:
                within = _file(f"{node.module}.{alias.name}", known)
                if within.removeprefix("limner.") in known:
                    yield within, ""
                else:
                    yield _file(str(node.module), known), alias.name


def _file(module: str, known: Mapping[str, str]) -> str:
    door = f"{module}.__init__"
    return door if door.removeprefix("limner.") in known else module


def impure(source: str) -> list[str]:
    """Say what makes a source of `messages/` impure."""
    found = []
    for module, name in imported(source):
        if module.split(".")[0] in IMPURE:
            found.append(f"imports {module}")
        if module.startswith(("limner.actors", "limner.scripts")):
            found.append(f"imports {module}")
        if module.split(".")[0] == "pykka" and name not in {"", "ActorRef"}:
            found.append(f"uses pykka.{name}")
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="pykka"), attr=attribute):
                if attribute != "ActorRef":
                    found.append(f"uses pykka.{attribute}")
            case ast.Call(func=ast.Name(id="open") | ast.Attribute(attr="open")):
                found.append("opens a file")
    return found


def upward(module: str, source: str) -> list[str]:
    """Say which imports of a module go against the one way."""
    folder, *below = module.split(".")
    found = []
    for name, _ in imported(source):
        top, _, target = name.removeprefix("limner.").partition(".")
        if not name.startswith("limner."):
            continue
        inner = target.split(".")[0]
        allowed = {"messages": {"messages"}, "actors": {"messages", "actors"}}.get(
            folder, set(FOLDERS)
        )
        apart = below[0] if folder == "actors" and len(below) > 1 else None
        if (
            top not in allowed
            or (apart and top == "actors" and inner != apart)
            or (
                folder == top == "actors"
                and not apart
                and below[0] not in IMPORTED_BY.get(inner, {below[0]})
            )
        ):
            found.append(f"{module} imports {name}")
    return found


def of_the_system(module: str, source: str) -> list[str]:
    """Say what a module of `actors/` takes past its system."""
    folder, *below = module.split(".")
    if folder != "actors" or below[0] in APART:
        return []
    return [name for name, _ in imported(source) if name.split(".")[0] in OF_THE_SYSTEM]


def circle(known: Mapping[str, str]) -> list[str]:
    """Give modules that import each other in a circle as they run; a type's name alone is none."""
    graph = {
        module: {name.removeprefix("limner.") for name, _ in imported(at_run_time(source), known)}
        for module, source in known.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def at_run_time(source: str) -> str:
    """Give a source without what stands under `if TYPE_CHECKING`."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return ast.unparse(tree)


def test_messages_are_pure():
    for module, source in SOURCES.items():
        if module.startswith("messages."):
            assert not impure(source), module


@pytest.mark.parametrize(
    "planted",
    [
        "import threading",
        "from time import monotonic",
        "import os.path",
        "import concurrent.futures",
        "def f():\n    import random",
        "from limner.actors import Studio",
        "import limner.actors.system",
        "from limner import actors",
        "from pykka import ThreadingActor",
        "import pykka\npykka.Future",
        "open('x')",
        "from pathlib import Path\nPath('x').open()",
    ],
)
def test_the_rule_of_pure_messages_can_fail(planted):
    assert impure(planted)


def test_the_rule_of_pure_messages_lets_an_address_through():
    assert not impure(
        "import pykka\nimport re\nx: pykka.ActorRef\nfrom limner.messages import tasks"
    )


def test_imports_run_one_way():
    found = [line for module, source in SOURCES.items() for line in upward(module, source)]
    assert not found


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("messages.tasks", "import limner.actors.system"),
        ("messages.tasks", "from limner.scripts import app"),
        ("actors.session", "from limner.scripts import app"),
        ("actors.session", "from limner.actors.studio import Studio"),
        ("actors.monitor", "from limner.actors.session import SessionActor"),
        ("actors.monitor", "from limner.actors import Studio, session"),
        ("actors.writer", "def f():\n    from limner.actors.processor import ProcessorActor"),
        ("actors.limiter", "import limner.actors.recorder"),
        ("actors.writer", "from limner.actors.stream import Stream"),
        ("actors.generators.sketch", "from limner.actors.stores.protocol import Store"),
        ("actors.generators.sketch", "from limner.actors.system import System"),
        ("actors.stores.sql", "from limner.actors.trail import Trail"),
        ("actors.system.clock", "from limner.actors.generators import Sketch"),
    ],
)
def test_the_rule_of_one_way_can_fail(module, planted):
    assert upward(module, planted)


@pytest.mark.parametrize(
    ("module", "fine"),
    [
        ("scripts.app", "from limner.actors.studio import Studio"),
        ("actors.studio", "from limner.actors.session import SessionActor"),
        ("actors.session", "from limner.actors.writer import WriterActor"),
        ("actors.monitor", "from limner.actors.stream import Stream"),
        ("actors.writer", "from limner.actors.trail import Trail\nimport limner.actors.system"),
        ("actors.processor", "from limner.actors.generators import check_picture"),
        ("actors.system.clock", "from limner.actors.system.context import current"),
        ("actors.stores.sql", "from limner.messages.errors import StoreFailed"),
    ],
)
def test_the_rule_of_one_way_lets_the_way_through(module, fine):
    assert not upward(module, fine)


def test_actors_take_time_threads_and_chance_from_their_system_alone():
    for module, source in SOURCES.items():
        assert not of_the_system(module, source), module


@pytest.mark.parametrize("name", sorted(OF_THE_SYSTEM))
def test_the_rule_of_the_system_can_fail(name):
    for planted in (f"import {name}", f"from {name} import x", f"def f():\n    import {name}.y"):
        assert of_the_system("actors.writer", planted)
        assert not of_the_system("actors.system.clock", planted)


def test_no_files_import_each_other_in_a_circle():
    assert not circle(SOURCES)


def test_the_rule_of_circles_can_fail():
    known = {
        "actors.one": "from limner.actors.two import x",
        "actors.two": "def f():\n    from limner.actors import three",
        "actors.three": "import limner.actors.one",
    }
    assert sorted(set(circle(known))) == sorted(known)
    known["actors.three"] = "if TYPE_CHECKING:\n    import limner.actors.one"
    assert not circle(known)


def test_every_package_is_listed_and_every_listed_one_is_there():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    listed = setup["options"]["packages"].split()
    there = {f"limner.{module.rpartition('.')[0]}" for module in SOURCES}
    assert sorted(listed) == sorted(there)
