"""The script that plants bugs: each can be planted, and what it reports is true.

Only a few bugs are searched for here; all of them by `python tests/planted.py`.
"""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import planted
import pytest
from planted import CHECKOUT, NotPlantable, SearchBroke, Searches
from support.command_line import reset_signals
from support.planted_bugs import BUGS
from support.planting import Bug, edit

QUICK = ("grant-too-many", "expiry-counted-twice", "second-write", "split-tag-lost")

COMPLETE = next(bug for bug in BUGS if bug.name == "write-before-the-last-settle")
NOTHING = replace(COMPLETE, name="nothing", new=f"bool({COMPLETE.old})")
GONE = replace(COMPLETE, name="gone", old="no such text")

SOURCE = '''
class Lane:
    @property
    def free(self) -> int:
        """The free slots."""  # "never negative"
        return self.most - (
            self.taken  # those in use
        )

    def grant(self, number: int) -> None:
        def add() -> None:
            self.taken += 1

        if number > 0:
            for _ in range(number):
                add()
            self.tell(
                "granted", [number]
            )
'''
RELEASE = Bug("sample", "", "Lane.grant", 'self.tell("granted", [number])', "pass")


@pytest.fixture
def copy(tmp_path):
    planted.copy_checkout(tmp_path)
    return tmp_path.resolve()


@pytest.fixture
def sources(tmp_path):
    """A folder of sources with one file."""
    for folder in planted.FOLDERS:
        (tmp_path / folder).mkdir()
    (tmp_path / "messages" / "lane.py").write_text(SOURCE, "utf-8")
    return tmp_path


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_fits_its_function(bug):
    planned = edit(bug, CHECKOUT)
    assert planned.source.encode()
    assert planned.diff


def test_bugs_have_names_of_their_own():
    assert len({bug.name for bug in BUGS}) == len(BUGS)


def test_a_bug_is_planted_in_the_copy_and_not_in_the_checkout(copy):
    path, source, _ = edit(NOTHING, CHECKOUT)
    before = path.read_bytes()
    planted.plant(NOTHING, copy / "limner")
    planted_in = copy / "limner" / path.relative_to(CHECKOUT)
    assert planted_in.read_text("utf-8") == source
    assert NOTHING.new in source
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("function", "old", "new", "line"),
    [
        ("Lane.free", "self.most - self.taken", "self.most", "        return self.most\n"),
        ("Lane.free", "return self.most - (self.taken)", "pass", "        pass\n"),
        ("Lane.grant.add", "self.taken += 1", "pass", "            pass\n"),
        ("Lane.grant", "if number > 0:", "if number > 1:", "        if number > 1:\n"),
        (
            "Lane.grant",
            'add()\nself.tell(\n    "granted", [number]\n)',
            "pass",
            None,  # the two are not one after the other at one indentation
        ),
        (
            "Lane.grant",
            'for _ in range(number):\n    add()\nself.tell("granted",\n    [number])',
            "add()\nself.tell(number)",
            "            add()\n            self.tell(number)\n",
        ),
    ],
)
def test_a_bug_is_found_however_its_lines_are_set(sources, function, old, new, line):
    bug = Bug("sample", "", function, old, new)
    if line is None:
        with pytest.raises(NotPlantable, match="0 times"):
            planted.plant(bug, sources)
    else:
        planted.plant(bug, sources)
        assert line in (sources / "messages" / "lane.py").read_text("utf-8")


def test_a_bug_follows_its_function_to_another_file(sources):
    moved = sources / "actors" / "deep" / "lanes.py"
    moved.parent.mkdir()
    (sources / "messages" / "lane.py").rename(moved)
    planted.plant(RELEASE, sources)
    assert "self.tell" not in moved.read_text("utf-8")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"function": "Lane.give"}, "no function Lane.give"),
        ({"function": "grant"}, "no function grant"),
        ({"function": "Lane"}, "no function Lane"),
        ({"old": "self.ask(number)"}, "has changed .* 0 times"),
        ({"old": "number"}, "has changed .* 4 times"),
        ({"new": "if"}, "not Python"),
        ({"new": "self.tell(  'granted', [number])"}, "changes nothing"),
    ],
)
def test_a_bug_that_does_not_fit_is_not_planted(sources, changes, told):
    with pytest.raises(NotPlantable, match=told):
        planted.plant(replace(RELEASE, **changes), sources)
    assert (sources / "messages" / "lane.py").read_text("utf-8") == SOURCE


def test_of_functions_of_one_name_the_one_that_fits_is_meant(sources):
    other = sources / "scripts" / "lane.py"
    other.write_text(SOURCE.replace("[number]", "number"), "utf-8")
    planted.plant(RELEASE, sources)
    assert "self.tell" not in (sources / "messages" / "lane.py").read_text("utf-8")
    assert "self.tell" in other.read_text("utf-8")


@pytest.mark.parametrize("old", [RELEASE.old, "no such text"])
def test_functions_of_one_name_are_told_if_it_is_not_clear_which(sources, old):
    (sources / "scripts" / "lane.py").write_text(SOURCE, "utf-8")
    with pytest.raises(NotPlantable, match=r"2 functions .* messages/lane.py, scripts/lane.py"):
        planted.plant(replace(RELEASE, old=old), sources)


def test_what_is_searched_is_the_copy(copy):
    with (copy / "limner" / "actors" / "limiter" / "limiter.py").open(
        "a", encoding="utf-8"
    ) as file:
        file.write("\nraise ValueError('this is the copy')\n")
    with pytest.raises(SearchBroke, match="this is the copy"):
        Searches().search(copy, range(1))


def test_a_search_of_anything_but_the_copy_breaks(tmp_path, copy):
    other = tmp_path / "other"
    (other / "limner").mkdir(parents=True)
    for folder in planted.FOLDERS:
        (other / "limner" / folder).symlink_to(copy / "limner" / folder)
    with pytest.raises(SearchBroke, match="not from the copy"):
        Searches().search(other, range(1))


def test_quick_bugs_are_caught(capsys):
    assert planted.main([*QUICK, "--seeds", "12"]) == 0
    shown, told = capsys.readouterr()
    assert "nothing is wrong in 12 seeds" in shown
    for name in QUICK:
        assert f"{name}: caught at seed" in told
        row = next(line for line in shown.splitlines() if line.startswith(name))
        assert len(row.split(maxsplit=4)) == 5
    assert f"{len(QUICK)} of {len(QUICK)} bugs were caught" in shown


def test_a_bug_that_is_not_caught_or_cannot_be_planted_is_no_success(capsys):
    assert planted.run([NOTHING, GONE], seeds=2) == 1
    shown, _ = capsys.readouterr()
    assert "NOT CAUGHT" in shown
    assert "must be written anew" in shown
    assert "0 of 2 bugs were caught" in shown


def test_nothing_is_planted_if_something_is_wrong_without_a_bug(capsys, monkeypatch):
    copy_checkout = planted.copy_checkout

    def copy_with_a_bug(into):
        copy_checkout(into)
        planted.plant(next(bug for bug in BUGS if bug.name == "grant-too-many"), into / "limner")

    monkeypatch.setattr(planted, "copy_checkout", copy_with_a_bug)
    assert planted.run([NOTHING], seeds=12) == 1
    shown, told = capsys.readouterr()
    assert "without a bug: seed" in shown
    assert "NOT CAUGHT" not in shown + told


def test_the_bugs_can_be_listed(capsys):
    assert planted.main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(BUGS)


def test_the_edits_can_be_shown(capsys):
    assert planted.main(["grant-too-many", "--diff"]) == 0
    shown = capsys.readouterr().out
    assert "+++ grant-too-many" in shown
    assert planted.print_diffs([GONE]) == 1
    assert "The function is now:" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["no-such-bug"], ["--seeds", "0"], ["--seeds", "many"]])
def test_wrong_use_is_told(capsys, wrong):
    with pytest.raises(SystemExit, match="2"):
        planted.main(wrong)
    assert wrong[0] in capsys.readouterr().err


def test_an_interrupt_ends_it_at_once_and_leaves_nothing(tmp_path):
    with subprocess.Popen(
        [sys.executable, str(Path(planted.__file__)), "grant-too-many"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        preexec_fn=reset_signals,  # noqa: PLW1509
    ) as process:
        assert process.stderr is not None
        assert "without a bug" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == "interrupted\n"
    assert not list(tmp_path.iterdir())
