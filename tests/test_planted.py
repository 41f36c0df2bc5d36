"""The script that plants bugs: each can be planted, and what it says of them is so.

Only a few bugs are searched for here; all of them by `python tests/planted.py`.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import planted
import pytest
from planted import CHECKOUT, NotPlantable, SearchBroke, Searches
from support.command_line import reset_signals
from support.planted_bugs import BUGS, Bug

QUICK = ("grant-too-many", "expiry-counted-twice", "second-write", "split-tag-lost")

NOTHING = Bug(
    "nothing",
    "It changes a word that nobody reads.",
    "messages/session/tally.py",
    '"""The count of a session',
    '"""The tally of a session',
)
GONE = Bug("gone", "What it changes is not there.", "messages/session/tally.py", "no such text", "")


@pytest.fixture
def copy(tmp_path):
    planted.copy_checkout(tmp_path)
    return tmp_path.resolve()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_what_a_bug_replaces_stands_in_its_file_once_and_what_it_leaves_is_python(bug):
    source = (CHECKOUT / bug.file).read_text("utf-8")
    assert source.count(bug.old) == 1, f"{bug.file} has changed: write the bug {bug.name} anew"
    after = source.replace(bug.old, bug.new)
    assert after != source
    compile(after, bug.file, "exec", dont_inherit=True)


def test_bugs_have_names_of_their_own():
    assert len({bug.name for bug in BUGS}) == len(BUGS)


def test_a_bug_is_planted_in_the_copy_and_not_in_the_checkout(copy):
    before = (CHECKOUT / NOTHING.file).read_bytes()
    planted.plant(NOTHING, copy)
    assert NOTHING.new in (copy / "limner" / NOTHING.file).read_text("utf-8")
    assert (CHECKOUT / NOTHING.file).read_bytes() == before


@pytest.mark.parametrize("old", ["no such text", "self"])
def test_a_bug_that_does_not_fit_the_code_any_more_is_not_planted(copy, old):
    with pytest.raises(NotPlantable, match="has changed"):
        planted.plant(Bug("old", "", NOTHING.file, old, "x"), copy)


def test_what_is_searched_is_the_copy(copy):
    with (copy / "limner" / "actors" / "limiter" / "limiter.py").open(
        "a", encoding="utf-8"
    ) as file:
        file.write("\nraise ValueError('this is the copy')\n")
    with pytest.raises(SearchBroke, match="this is the copy"):
        Searches("chaos").search(copy, range(1))


def test_a_search_of_anything_but_the_copy_breaks(tmp_path, copy):
    other = tmp_path / "other"
    (other / "limner").mkdir(parents=True)
    for folder in planted.FOLDERS:
        (other / "limner" / folder).symlink_to(copy / "limner" / folder)
    with pytest.raises(SearchBroke, match="not from the copy"):
        Searches("chaos").search(other, range(1))


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
    assert planted.run([NOTHING, GONE], seeds=2, scenario="chaos") == 1
    shown, _ = capsys.readouterr()
    assert "NOT CAUGHT" in shown
    assert "must be written anew" in shown
    assert "0 of 2 bugs were caught" in shown


def test_nothing_is_planted_if_something_is_wrong_without_a_bug(capsys, monkeypatch):
    copy_checkout = planted.copy_checkout

    def copy_with_a_bug(into):
        copy_checkout(into)
        planted.plant(next(bug for bug in BUGS if bug.name == "grant-too-many"), into)

    monkeypatch.setattr(planted, "copy_checkout", copy_with_a_bug)
    assert planted.run([NOTHING], seeds=12, scenario="chaos") == 1
    shown, told = capsys.readouterr()
    assert "without a bug: seed" in shown
    assert "NOT CAUGHT" not in shown + told


def test_the_bugs_can_be_listed(capsys):
    assert planted.main(["--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(BUGS)


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
