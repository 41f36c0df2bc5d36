"""The house: its import rules, each shown to be able to fail, its doors and its packages."""

import ast
import configparser
import graphlib
import importlib
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FunctionType

import pytest

from limner.actors import Settings, Studio

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("actors", "messages", "scripts")
OF_THE_SYSTEM = frozenset(["time", "threading", "random", "uuid", "concurrent", "queue", "asyncio"])
IMPURE = OF_THE_SYSTEM | frozenset(["os", "io", "socket", "subprocess", "secrets", "importlib"])
WALL_CLOCK = frozenset(["now", "utcnow", "today"])
"""What reads the clock of `datetime`, whose values are pure."""
WAY = ("messages", "actors", "scripts")
APART = frozenset(["system", "generators", "stores"])
"""Rooms of `actors/` that import nothing else of it."""
FLOORS = (
    ("system", "generators", "stores"),
    ("event_log",),
    ("base", "picture_maker", "settings"),
    ("context",),
    ("recorder", "limiter"),
    ("session",),
    ("writes",),
    ("studio",),
    ("__init__",),
)
"""The rooms of `actors/`, of which each may import its own floor and those above it here."""
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
DOORS = frozenset(
    [
        "limner",
        "limner.actors",
        "limner.actors.generators",
        "limner.actors.stores",
        "limner.actors.stores.conformance",
        "limner.messages",
        "limner.messages.errors",
    ]
)
"""What hosts import from."""
SYSTEM = "limner.actors.system."
NOT_FOR_HOSTS = frozenset(
    [
        *("Loop", "Mailbox", "Scheduler", "VirtualClock"),  # what a system is made of
        *(
            "BatchOptions",
            "CallOptions",
            "Holding",
            "OwnActors",
            "SlotGranted",
        ),  # of constructors that only Limner calls
        *("StreamEnded", "StreamInterrupted", "TextReplaced"),  # what the monitor takes
    ]
)
"""Types in public signatures that only Limner itself uses."""
PROTOCOLS = {"session": ("lifecycle", "processing", "streaming", "totals", "writing")}
"""The files of a room of `messages/` that hold its messages; `protocol` where none is named."""


def sources() -> dict[str, str]:
    """Return the source of every module, by its name without `limner.`."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text("utf-8")
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


SOURCES = sources()


def imported(source: str, known: Mapping[str, str] = SOURCES) -> Iterator[tuple[str, str]]:
    """Return each import of a source as module and name, those within a function too.

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
    """Return what makes a source of `messages/` impure."""
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
            case ast.Call(func=ast.Attribute(value=source_of_time, attr=attribute)):
                kind = ast.unparse(source_of_time).rpartition(".")[2]
                if attribute in WALL_CLOCK and kind in {"datetime", "date"}:
                    found.append(f"reads the clock with {attribute}()")
    return found


def upward(module: str, source: str) -> list[str]:
    """Return the imports of a module that go against the one way."""
    folder, *below = module.split(".")
    found = []
    for name, _ in imported(source):
        top, _, target = name.removeprefix("limner.").partition(".")
        if not name.startswith("limner."):
            continue
        room, target_room = below[0], target.split(".")[0]
        if WAY.index(top) > WAY.index(folder):
            found.append(f"{module} imports {name}")
        elif folder == top == "actors" and room != target_room:
            own, other = FLOOR.get(room), FLOOR.get(target_room)
            if room in APART or own is None or other is None or other > own:
                found.append(f"{module} imports {name}")
    return found


def of_the_system(module: str, source: str) -> list[str]:
    """Return what a module of `actors/` takes past its system."""
    folder, *below = module.split(".")
    if folder != "actors" or below[0] in APART:
        return []
    return [name for name, _ in imported(source) if name.split(".")[0] in OF_THE_SYSTEM]


def circle(known: Mapping[str, str]) -> list[str]:
    """Return modules that import each other in a circle.

    Within `system`, an import for a type's name alone counts for none.
    """
    graph = {
        module: {
            name.removeprefix("limner.")
            for name, _ in imported(
                at_run_time(source) if module.startswith("actors.system.") else source, known
            )
        }
        for module, source in known.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def not_messages(source: str) -> list[str]:
    """Return what a file of messages defines beside them: functions, methods, constants.

    Types that fields are of may have names, and enums are values.
    """
    found = []
    for node in ast.parse(source).body:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
                pass
            case ast.ClassDef(name=name, body=body):
                found += [
                    f"{name}.{inner.name}" for inner in body if isinstance(inner, ast.FunctionDef)
                ]
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Subscript(value=ast.Name(id="Literal" | "Callable")) | ast.BinOp(),
            ) if name[0].isupper():
                pass
            case _:
                found.append(ast.unparse(node).partition("\n")[0])
    return found


def rooms_of(folder: str) -> list[str]:
    """Return the names of the rooms of a folder."""
    parts = (module.split(".") for module in SOURCES)
    return sorted({room for top, room, *within in parts if top == folder and within})


def protocol_files() -> list[str]:
    """Return the modules of `messages/` that hold messages alone."""
    return [
        f"messages.{room}.{file}"
        for room in rooms_of("messages")
        for file in PROTOCOLS.get(room, ("protocol",))
        if f"messages.{room}.{file}" in SOURCES
    ]


def unheard(room: str) -> list[str]:
    """Return the messages of a room that no actor of the room of that name knows."""
    known = {
        name
        for module, source in SOURCES.items()
        if module.startswith(f"actors.{room}.")
        for _, name in imported(source)
    }
    said = [
        node
        for module in protocol_files()
        if module.split(".")[1] == room
        for node in ast.parse(SOURCES[module]).body
        if isinstance(node, ast.ClassDef)
    ]
    derived_from = {ast.unparse(base) for node in said for base in node.bases}
    return [
        f"{room}.{node.name}"
        for node in said
        if node.name not in known and node.name not in derived_from
    ]


def at_run_time(source: str) -> str:
    """Return a source without what stands under `if TYPE_CHECKING`."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return ast.unparse(tree)


def public_functions(kind: type) -> Iterator[Callable[..., object]]:
    """Yield the public methods and properties of a class, and those that begin or iterate it."""
    for base in kind.__mro__:
        for name, member in vars(base).items():
            if base.__module__.startswith("limner.") and (
                not name.startswith("_") or name in {"__init__", "__call__", "__iter__"}
            ):
                function = member.fget if isinstance(member, property) else member
                function = inspect.unwrap(getattr(function, "__func__", function))
                if isinstance(function, FunctionType):
                    yield function


def types_in(thing: object) -> Iterator[type]:
    """Yield the types of Limner in the public signatures and fields of a class or a function."""
    signed: list[object] = [thing]
    if inspect.isclass(thing):
        signed += public_functions(thing)
    hints = [
        hint
        for each in signed
        if inspect.isclass(each) or isinstance(each, FunctionType)
        for name, hint in typing.get_type_hints(each).items()
        if not name.startswith("_")
    ]
    while hints:
        hint = hints.pop()
        if isinstance(hint, list):
            hints += hint
        elif origin := typing.get_origin(hint):
            hints += [origin, *typing.get_args(hint)]
        elif inspect.isclass(hint) and hint.__module__.startswith("limner."):
            yield hint


def not_at_a_door(known: list[object], doors: list[object]) -> set[str]:
    """Return the types that a host meets, from what it knows on, and cannot import from a door."""
    found, seen = set(), list(known)
    for thing in seen:
        if getattr(thing, "__module__", "").startswith(SYSTEM):
            continue  # what actors run on has parts of its own
        for kind in types_in(thing):
            if not any(kind is other for other in seen):
                seen.append(kind)
                if not any(kind is other for other in doors) and kind.__name__ not in NOT_FOR_HOSTS:
                    found.add(f"{kind.__module__}.{kind.__name__}")
    return found


def at_the_doors() -> list[object]:
    """Return all that can be imported from the doors."""
    modules = [importlib.import_module(door) for door in sorted(DOORS)]
    return [
        getattr(module, name)
        for module in modules
        for name in getattr(module, "__all__", vars(module))
    ]


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
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.date.today()",
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


def test_each_room_of_actors_has_its_floor():
    assert {module.split(".")[1] for module in SOURCES if module.startswith("actors.")} == set(
        FLOOR
    )


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("messages.tasks", "import limner.actors.system"),
        ("messages.tasks", "from limner.scripts import app"),
        ("actors.session.session", "from limner.scripts import app"),
        ("actors.session.session", "from limner.actors.studio.studio import Studio"),
        ("actors.session.monitor", "from limner.actors import Studio, session"),
        ("actors.limiter.limiter", "import limner.actors.session.writer"),
        ("actors.recorder", "def f():\n    from limner.actors.writes.editor import EditActor"),
        ("actors.base", "from limner.actors.recorder import RecorderActor"),
        ("actors.generators.sketch.sketch", "from limner.actors.stores.protocol import Store"),
        ("actors.generators.sketch.sketch", "from limner.actors.system import System"),
        ("actors.stores.sql.store", "from limner.actors.event_log import EventLog"),
        ("actors.system.clock", "from limner.actors.generators import Sketch"),
        ("actors.attic.new", "import limner.actors.system"),
    ],
)
def test_the_rule_of_one_way_can_fail(module, planted):
    assert upward(module, planted)


@pytest.mark.parametrize(
    ("module", "fine"),
    [
        ("scripts.app", "from limner.actors.studio.studio import Studio"),
        ("actors.studio.studio", "from limner.actors.session.session import SessionActor"),
        ("actors.session.session", "from limner.actors.session.writer import WriterActor"),
        ("actors.session.writer", "import limner.actors.event_log\nimport limner.actors.system"),
        ("actors.session.processor", "from limner.actors.generators import check_picture"),
        ("actors.system.clock", "from limner.actors.system.context import current"),
        ("actors.stores.sql.store", "from limner.messages.errors import StoreFailed"),
    ],
)
def test_the_rule_of_one_way_lets_the_way_through(module, fine):
    assert not upward(module, fine)


@pytest.mark.parametrize("module", protocol_files())
def test_a_protocol_holds_messages_alone(module):
    assert not not_messages(SOURCES[module])


@pytest.mark.parametrize(
    "planted",
    [
        "MOST = 3",
        "def check(x): ...",
        "class A(Message):\n    def f(self): ...",
        "names = {'a': 1}",
        "if x:\n    class A: ...",
    ],
)
def test_the_rule_of_protocols_can_fail(planted):
    assert not_messages(planted)


def test_the_rule_of_protocols_lets_messages_and_their_types_through():
    assert not not_messages(
        '"""Doc."""\nimport x\nKind = Literal["a"]\nclass A(Message):\n    """Doc."""\n    x: int'
    )


@pytest.mark.parametrize("room", sorted({*rooms_of("messages")} & {*rooms_of("actors")}))
def test_rooms_of_one_name_are_about_the_same_thing(room):
    assert not unheard(room)


def test_every_room_of_messages_has_its_messages_where_one_looks():
    for room in {*rooms_of("messages")} & {*rooms_of("actors")}:
        assert any(module.startswith(f"messages.{room}.") for module in protocol_files()), room


def old_dialect(source: str) -> list[str]:
    """Return the functions of a source whose docstring begins with no verb of the field."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        and (ast.get_docstring(node) or "").startswith(("Give ", "Say ", "See ", "Let "))
    ]


def test_docstrings_begin_with_the_usual_verb():
    assert not {
        module: names for module, source in SOURCES.items() if (names := old_dialect(source))
    }


def test_the_rule_of_docstrings_can_fail():
    assert old_dialect('class A:\n    def f(self):\n        """Give it."""') == ["f"]


def test_nothing_within_comes_in_by_the_door_of_hosts():
    for module, source in SOURCES.items():
        if module.startswith("scripts.examples."):
            continue  # they are hosts
        for name, what in imported(source):
            assert name != "limner" or (module, what) == ("scripts.app", "__version__"), module


def test_hosts_need_no_import_deeper_than_the_doors():
    readme = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert blocks
    for block in blocks:
        for name, _ in imported(block):
            assert not name.startswith("limner.") or name.removesuffix(".__init__") in DOORS, name


def test_hosts_can_import_each_type_that_they_meet_from_a_door(tmp_path):
    settings = Settings(store="memory:", pictures=tmp_path)
    with Studio.open(settings, generator="instant") as studio:
        known = [*at_the_doors(), type(studio.limiter)]
    assert not not_at_a_door(known, at_the_doors())


def test_the_rule_of_doors_can_fail():
    doors = at_the_doors()
    closed = [thing for thing in doors if getattr(thing, "__name__", "") != "RegistryUpdate"]
    assert not_at_a_door(closed, closed) == {"limner.messages.registry.RegistryUpdate"}


def test_readme_names_nothing_deeper_than_the_doors():
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in re.findall(r"`(limner\.[a-z_.]+[a-z_])", readme):
        assert name in DOORS or name.rpartition(".")[0] in DOORS | {"limner"}, name


def test_actors_take_time_threads_and_chance_from_their_system_alone():
    for module, source in SOURCES.items():
        assert not of_the_system(module, source), module


@pytest.mark.parametrize("name", sorted(OF_THE_SYSTEM))
def test_the_rule_of_the_system_can_fail(name):
    for planted in (f"import {name}", f"from {name} import x", f"def f():\n    import {name}.y"):
        assert of_the_system("actors.session.writer", planted)
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
    hint = "if TYPE_CHECKING:\n    import limner.actors.one"
    assert circle(known | {"actors.three": hint})
    within = {name.replace("actors.", "actors.system."): source for name, source in known.items()}
    within = {k: v.replace("limner.actors", "limner.actors.system") for k, v in within.items()}
    assert circle(within)
    within["actors.system.three"] = hint.replace("actors.one", "actors.system.one")
    assert not circle(within)


def test_every_package_is_listed_and_every_listed_one_is_there():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    listed = setup["options"]["packages"].split()
    there = {"limner", *(f"limner.{module.rpartition('.')[0]}" for module in SOURCES)}
    assert sorted(listed) == sorted(there)
