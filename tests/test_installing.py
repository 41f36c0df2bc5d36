"""Installing: the wheel in an empty environment, and the set-up of the two commands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
SITE = "import site; print(site.getsitepackages()[0])"
FOLDERS = ("actors", "messages", "scripts")
DOOR = "limner"


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    """Return a folder with what builds a wheel."""
    folder = tmp_path_factory.mktemp("tools")
    done = subprocess.run(
        [*PIP, "download", "--no-deps", "--dest", folder, "setuptools>=77"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("setuptools could not be downloaded, so no wheel can be built here")
    return ["--no-index", "--find-links", folder]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Return a copy of the checkout, so that nothing is left in the checkout itself."""
    copy = tmp_path_factory.mktemp("copy") / "limner"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in (*FOLDERS, DOOR):
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for path in ROOT.iterdir():
        if path.suffix in {".cfg", ".toml", ".md"} or path.name == "LICENSE":
            shutil.copy(path, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, checkout, tools):
    folder = tmp_path_factory.mktemp("wheel")
    run(*PIP, "wheel", "--no-deps", *tools, "--wheel-dir", folder, checkout)
    (built,) = folder.glob("limner-*.whl")
    return built


@pytest.fixture
def empty(tmp_path):
    """Return the Python of an environment that has what Limner needs, and not Limner."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "empty")
    python = tmp_path / "empty" / "bin" / "python"
    site = Path(run(python, "-c", SITE).strip())
    # a path is added, whose own editable installs are not read
    needed = {str(Path(module.__file__).parent.parent) for module in (pytest, __import__("pykka"))}
    (site / "needed.pth").write_text("\n".join(needed), "utf-8")
    return python


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def install(python, *what):
    run(*PIP, "--python", python, "install", "--no-deps", *what)


def test_the_wheel_installs_into_an_empty_environment_and_shadows_nobody(wheel, empty, tmp_path):
    python = empty
    install(python, "--no-index", wheel)
    site = Path(run(python, "-c", SITE).strip())
    assert sorted(path.name for path in site.iterdir() if not path.name.endswith(".dist-info")) == [
        "limner",
        "needed.pth",
    ]
    for name in FOLDERS:
        assert (site / "limner" / name / "py.typed").is_file()
    assert (site / "limner" / "py.typed").is_file()
    modules = {".".join(path.relative_to(site / "limner").with_suffix("").parts)
               for path in (site / "limner").rglob("*.py")}  # fmt: skip
    assert modules == {"__init__", "__main__"} | {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }

    (site / "messages").mkdir()
    (site / "messages" / "__init__.py").write_text("whose = 'somebody else'", "utf-8")
    said = run(
        python,
        "-I",
        "-c",
        "import limner.messages, limner.actors, messages\n"
        "print(limner.messages.__file__, limner.actors.__file__, messages.whose, sep='\\n')",
        cwd=tmp_path,
    )
    assert said.split("\n")[:3] == [
        str(site / "limner" / "messages" / "__init__.py"),
        str(site / "limner" / "actors" / "__init__.py"),
        "somebody else",
    ]

    limner = [python, "-I", "-m", "limner"]
    quiet = ["simulate", "--scenario", "quiet", "--messages", "3"]
    run(*limner, *quiet, "--events", "e", cwd=tmp_path)
    run(*limner, "inspect", "e", "--html", "page.html", cwd=tmp_path)
    assert "msg-1" in (tmp_path / "page.html").read_text("utf-8")
    # the docstrings of settings are read from the source, which the wheel has
    assert "Pictures that are generated" in run(*limner, "settings", "slots", cwd=tmp_path)
    assert "- lane (string)" in run(*limner, "events", "slot_granted", cwd=tmp_path)


FOUND = "import limner, limner.actors as a; print(limner.__file__, a.__file__, limner.Studio)"


def test_an_installed_wheel_is_used_from_any_folder_and_a_checkout_in_it(
    wheel, empty, checkout, tmp_path
):
    install(empty, "--no-index", wheel)
    site = Path(run(empty, "-c", SITE).strip())
    said = run(empty, "-c", FOUND, cwd=tmp_path).split()
    assert said[:2] == [str(site / "limner" / "__init__.py"),
                        str(site / "limner" / "actors" / "__init__.py")]  # fmt: skip
    # the working folder goes first, and is whole
    said = run(empty, "-c", FOUND, cwd=checkout).split()
    assert said[:2] == [str(checkout / "limner" / "__init__.py"),
                        str(checkout / "actors" / "__init__.py")]  # fmt: skip
    assert "limner 0" in run(empty, "-m", "limner", "--version", cwd=checkout)
    assert "limner 0" in run(empty.parent / "limner", "--version", cwd=checkout)


def test_an_editable_install_is_used_from_any_folder(empty, checkout, tools, tmp_path):
    install(empty, *tools, "--editable", checkout)
    for folder in (tmp_path, checkout, checkout / "limner", checkout / "actors"):
        said = run(empty, "-c", FOUND, cwd=folder).split()
        assert said[:2] == [str(checkout / "limner" / "__init__.py"),
                            str(checkout / "actors" / "__init__.py")]  # fmt: skip
        assert "limner 0" in run(empty.parent / "limner", "--version", cwd=folder)


SET_UP = 'root=$1; . "$root/scripts/environment"; set_up ""'


def set_up(tmp_path: Path, *pythons: tuple[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the set-up of a copied checkout on a machine that has these Pythons and no others."""
    tools, root = tmp_path / "tools", tmp_path / "a checkout"
    tools.mkdir()
    (root / "scripts").mkdir(parents=True)
    for name in ("setup.cfg", "pyproject.toml", "scripts/environment"):
        shutil.copy(ROOT / name, root / name)
    for name in ("cat", "cksum", "mkdir", "rm", "sed", "tail"):
        (tools / name).symlink_to(str(shutil.which(name)))
    for name, script in pythons:
        (tools / name).write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        (tools / name).chmod(0o755)
    return subprocess.run(
        [str(shutil.which("sh")), "-euc", SET_UP, "sh", root],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


OLD = """case "$2" in *print*) echo 3.9.2 ;; *) exit 1 ;; esac"""
RECENT = """case "$2" in *_base_executable*) echo "$0" ;; *print*) echo 3.12.1 ;; %s esac"""


def test_a_machine_without_python_is_told_so(tmp_path):
    done = set_up(tmp_path, ("python3.12", "exit 127"))
    assert done.returncode == 2
    assert "there is no python3 here that runs" in done.stderr
    assert "apt install python3" in done.stderr


def test_an_old_python_is_named_with_its_version(tmp_path):
    done = set_up(tmp_path, ("python3", OLD))
    assert done.returncode == 2
    assert "3.11 or later" in done.stderr
    assert "python3 is 3.9.2" in done.stderr


def test_a_python_that_is_recent_is_found_behind_an_old_one_and_a_missing_venv_is_named(tmp_path):
    done = set_up(tmp_path, ("python3", OLD), ("python3.12", RECENT % "*ensurepip*) exit 1 ;;"))
    assert done.returncode == 2
    assert "python3.12 (3.12.1)" in done.stdout
    assert "apt install python3-venv" in done.stderr


def test_an_environment_that_cannot_be_made_is_explained_with_what_was_said(tmp_path):
    done = set_up(
        tmp_path,
        ("python3", RECENT % '*ensurepip*) ;; esac; case "$1" in -m) echo no room; exit 1 ;;'),
    )
    assert done.returncode == 2
    assert re.search(r"Could not make \.venv.*\n +no room", done.stderr)
    assert (tmp_path / "a checkout" / ".venv" / "half-made").exists()


@pytest.mark.parametrize("name", ["scripts/demo", "scripts/test", ".ci/run"])
def test_the_commands_can_be_run_and_are_sound_shell(name):
    assert os.access(ROOT / name, os.X_OK)
    run("bash" if name == ".ci/run" else "sh", "-n", ROOT / name)


def test_what_is_asked_for_reaches_the_tests_on_other_pythons():
    script = (ROOT / "scripts/test").read_text("utf-8")
    step, tests_on = (
        re.search(rf"^{name}\(\) [{{(]\n.*?^[}})]\n", script, re.MULTILINE | re.DOTALL)[0]
        for name in ("step", "tests_on")
    )
    lines = [
        "passed=0 failed=0 failures=",
        "say() { :; }",
        "set_up_other() { python=echo; }",
        step + tests_on,
        "step one tests_on 3.12.1 /usr/bin/python3.12 tests/one.py -x",
        "step all tests_on 3.12.1 /usr/bin/python3.12",
        "echo $passed passed",
    ]
    done = subprocess.run(
        ["sh", "-euc", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    one, everything, passed = done.stdout.splitlines()
    assert one == "-m pytest -n auto --quick tests/one.py -x"
    assert everything.startswith("-m pytest -n auto --quick tests/actors tests/messages ")
    assert passed == "2 passed"


def test_the_story_is_long_enough_and_holds_its_prompts():
    story = (ROOT / "scripts/stories/lighthouse.md").read_text("utf-8")
    tags = re.findall(r'<!--img-prompt="(?:\\.|[^"\\])*"-->|<img-prompt="(?:\\.|[^"\\])*">', story)
    assert len(tags) >= 7
    prose = re.sub("|".join(map(re.escape, tags)), "", story)
    assert 600 <= len(prose.split()) <= 900
    assert "img-prompt" not in prose
