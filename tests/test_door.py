"""The door: what `limner` gives a host, what it costs, and what it needs."""

import ast
import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import limner
from limner.actors import Future, Studio
from limner.scripts.app import app

ROOT = Path(__file__).resolve().parent.parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", "utf-8")
NAMES = {"pillow": "PIL", "markdown-it-py": "markdown_it"}
"""What is imported under another name than it is installed."""


def run(*arguments, cwd=ROOT, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_door_gives_what_a_host_needs():
    for name in limner.__all__:
        assert getattr(limner, name) is not None
        assert name in dir(limner)
    assert limner.Studio is Studio
    assert limner.Future is Future
    assert re.fullmatch(r"\d+\.\d+\.\d+", limner.__version__)


def test_what_the_door_does_not_have_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Studios'"):
        limner.Studios  # noqa: B018


def test_the_door_is_cheap():
    said = run("-c", "import sys, limner; limner.__version__; print(*sys.modules)").stdout.split()
    assert "limner" in said
    assert not {"limner.actors", "limner.messages", "pykka", "pydantic", "typer"} & set(said)


def test_a_setting_imports_no_actor():
    said = run("-c", "import sys; from limner import Settings; print(*sys.modules)").stdout.split()
    assert "limner.messages.settings" in said
    assert "limner.actors" not in said


def test_a_host_needs_neither_typer_nor_rich():
    blocked = "import sys; sys.modules['typer'] = sys.modules['rich'] = None; "
    done = run(
        "-c",
        blocked + "from limner import Studio, Settings\n"
        "with Studio.open(Settings(store='memory:', pictures='/nowhere')): print('open')",
    )
    assert done.stdout == "open\n", done.stderr


def test_the_module_is_the_command(tmp_path):
    done = run("-m", "limner", "--version", cwd=tmp_path)
    assert done.stdout == f"limner {limner.__version__}\n"
    assert run("-m", "limner", "illustrate", "gone.md", cwd=tmp_path).returncode == 2


def test_a_command_without_what_it_needs_says_so_in_one_line():
    done = run(
        "-c", "import sys; sys.modules['typer'] = None; from limner.__main__ import main; main()"
    )
    assert done.returncode == 1
    assert done.stderr == (
        "limner: the command needs typer, which is not installed: pip install 'limner[cli]'\n"
    )


def test_a_module_that_is_missing_otherwise_is_not_taken_for_that():
    done = run(
        "-c",
        "import sys; sys.modules['limner.scripts.flags'] = None\n"
        "from limner.__main__ import main; main()",
    )
    assert "ModuleNotFoundError" in done.stderr


def imports_of(*folders):
    """Return the packages that the sources of some folders import."""
    return {
        name.partition(".")[0]
        for folder in folders
        for path in [*(ROOT / folder).rglob("*.py"), *[ROOT / folder][: folder.endswith(".py")]]
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [str(node.module)]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }


def required(text):
    names = (re.split(r"[ <>=\[;]", line)[0].strip() for line in text.split("\n") if line.strip())
    return {NAMES.get(name, name.replace("-", "_")) for name in names}


def extras(*names):
    return {each for name in names for each in required(SETUP["options.extras_require"][name])}


def test_nothing_is_required_that_is_never_imported():
    needed = required(SETUP["options"]["install_requires"])
    assert needed <= imports_of("limner", "actors", "messages")
    assert extras("cli") <= imports_of("scripts")


def test_nothing_is_imported_that_is_not_required():
    everywhere = required(SETUP["options"]["install_requires"])
    own = {"limner", *sys.stdlib_module_names}
    assert not imports_of("limner", "actors", "messages") - own - everywhere - {"psycopg"}
    assert not imports_of("scripts") - own - everywhere - extras("cli") - extras("web", "dev")
    commands = {path.name for path in (ROOT / "scripts").iterdir()} - {"examples"}
    assert (
        not imports_of(*(f"scripts/{name}" for name in commands)) - own - everywhere - extras("cli")
    )


HOST = """\
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from limner.messages import LaneSettings, Settings

settings = Settings(store="memory:", pictures="pictures/", patterns=["<a (.*)>"], events="e.jsonl")
folder: Path = settings.pictures
log: Path | None = settings.events
patterns: tuple[str, ...] = settings.patterns
values: dict[str, Any] = {}
Settings(**values)
Settings(lanes={"image": LaneSettings(max_concurrent=3)})
"""


WRONG = {
    "Settings(slotz=3)": 'Unexpected keyword argument "slotz" for "Settings"',
    'Settings(slots="three")': 'Argument "slots" to "Settings" has incompatible type "str"',
    "Settings(3)": 'Too many positional arguments for "Settings"',
    "LaneSettings(max_concurrant=3)": 'Unexpected keyword argument "max_concurrant"',
    "number: int = settings.pictures": "Incompatible types in assignment",
}


def test_a_wrong_setting_is_a_type_error_and_a_right_one_is_none(tmp_path):
    (tmp_path / "host.py").write_text(HOST + "\n".join(WRONG), "utf-8")
    (tmp_path / "limner").mkdir()
    for folder in ("actors", "messages"):
        (tmp_path / "limner" / folder).symlink_to(ROOT / folder)
    done = run(
        *("-m", "mypy", "--strict", "--config-file=", "--follow-imports=silent"),
        *("--explicit-package-bases", "--cache-dir", ROOT / "build" / "mypy-of-hosts", "host.py"),
        cwd=tmp_path,
    )
    lines = done.stdout.splitlines()
    first = HOST.count("\n") + 1
    for number, told in enumerate(WRONG.values(), first):
        assert any(told in line for line in lines if line.startswith(f"host.py:{number}:")), told
    assert not [line for line in lines if line.startswith("host.py") and ": error:" in line
                and int(line.split(":")[1]) < first]  # fmt: skip


@pytest.mark.parametrize("command", ["", *(str(command.name or command.callback.__name__)
                                           for command in app.registered_commands),
                                     "bench stream", "bench limiter", "bench loop"])  # fmt: skip
def test_a_flag_shows_no_value_in_the_help(command):
    done = run("-m", "limner", *command.split(), "--help", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert "--help" in done.stdout
    assert "bool" not in done.stdout.lower()
