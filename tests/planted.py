"""Plants bugs in copies of Limner, one by one, and says what in the simulation catches each.

    python tests/planted.py [NAME ...] [--list] [--seeds N] [--scenario NAME]

Each bug is a small edit of one file, as it slips into any hand. It is planted in a copy of the
checkout, never in the checkout; then seeds are simulated one after another until the first in
which something is wrong. Before that the same seeds run without a bug, and nothing may be wrong.

Exit status: 0 every bug was caught, 1 one was not or cannot be planted, 2 wrong use,
130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from support.planted_bugs import BUGS, Bug

from limner.scripts.signals import HEARING, Step, interrupted_between_steps

CHECKOUT = Path(__file__).resolve().parent.parent
FOLDERS = ("actors", "messages", "scripts")
UNPLANTED_SEEDS = 50
PATIENCE = 60
"""Seconds of real time after which a seed is taken to hang."""


class NotPlantable(Exception):
    """The code has changed since the bug was written."""


class SearchBroke(Exception):
    """The search for a bug did not run as it should."""


def copy_checkout(into: Path) -> None:
    """Copy what is installed of the checkout into a namespace folder `limner` of a folder."""
    for folder in FOLDERS:
        shutil.copytree(
            CHECKOUT / folder,
            into / "limner" / folder,
            ignore=shutil.ignore_patterns("__pycache__", "stories"),
        )


def plant(bug: Bug, into: Path) -> None:
    """Plant a bug in a copy.

    Raises:
        NotPlantable: if its old text is not there exactly once.
    """
    path = into / "limner" / bug.file
    source = path.read_text("utf-8") if path.is_file() else ""
    times = source.count(bug.old)
    if times != 1:
        raise NotPlantable(
            f"{bug.name}: {bug.file} has changed (what is to be replaced stands in it {times} "
            "times, not once), so the bug must be written anew"
        )
    path.write_text(source.replace(bug.old, bug.new), "utf-8")


SEARCH = """
import json, sys
from pathlib import Path
from limner.scripts.simulate.scenario import load_scenario
from limner.scripts.simulate.seeds import run_seed

copy, scenario, first, last = sys.argv[1:]
for name, module in list(sys.modules.items()):
    file = getattr(module, "__file__", None)
    if name.startswith("limner.") and not Path(file).resolve().is_relative_to(copy):
        sys.exit(f"{name} is imported from {file}, not from the copy in which the bug is")
loaded = load_scenario(scenario)
for seed in range(int(first), int(last) + 1):
    problems = run_seed(loaded, seed).problems
    print(json.dumps([seed, *problems[:1]]), flush=True)
    if problems:
        break
"""
"""What runs on a copy: tells of each seed, until one in which something is wrong."""


@dataclass(frozen=True)
class Outcome:
    """What a search has found.

    Args:
        seeds: how many were simulated.
        caught: the seed in which something was wrong, if any.
        by: what was wrong there, in one line.
        seconds: of real time.
    """

    seeds: int
    caught: int | None
    by: str
    seconds: float


class Searches:
    """Searches in processes of their own, which all end when this is stopped."""

    def __init__(self, scenario: str) -> None:
        self.scenario = scenario
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def stop(self) -> None:
        """End all that run, and begin no other."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def search(self, copy: Path, seeds: range) -> Outcome:
        """Simulate seeds on a copy, up to the first in which something is wrong.

        Args:
            copy: the folder with the namespace folder `limner`.
            seeds: which ones, in order.

        Raises:
            SearchBroke: if it ends otherwise, or something else than the copy was imported.
        """
        began = monotonic()
        process = self._start(copy, seeds)
        hung = threading.Event()

        def give_up() -> None:
            hung.set()
            process.kill()

        done, caught, by = 0, None, ""
        try:
            assert process.stdout is not None
            while True:
                watch = threading.Timer(PATIENCE, give_up)
                watch.daemon = True
                watch.start()
                line = process.stdout.readline()
                watch.cancel()
                if not line:
                    break
                seed, *problems = json.loads(line)
                done += 1
                if problems:
                    caught, by = seed, problems[0]
            _, errors = process.communicate()
        finally:
            process.kill()
            process.wait()
            with self._lock:
                self._running.discard(process)
        if hung.is_set():
            done, caught = done + 1, seeds[done]
            by = f"hang: the seed had not ended after {PATIENCE} s of real time"
        elif process.returncode:
            said = errors.strip().splitlines() or [f"exit status {process.returncode}"]
            raise SearchBroke(f"the search broke: {said[-1]}")
        return Outcome(done, caught, by, monotonic() - began)

    def _start(self, copy: Path, seeds: range) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise SearchBroke("the search was stopped")
            arguments = [str(copy), self.scenario, str(seeds[0]), str(seeds[-1])]
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", SEARCH, *arguments],
                env={**os.environ, "PYTHONPATH": str(copy), "PYTHONHASHSEED": "0"},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
            self._running.add(process)
            return process


def search_planted(
    searches: Searches, bug: Bug, folder: Path, pristine: Path, seeds: int
) -> Outcome:
    """Plant a bug in a copy of the pristine copy, search it, and remove it again.

    Raises:
        NotPlantable: if it cannot be planted.
        SearchBroke: if the search did, or what it found is found without the bug too.
    """
    copy = folder / bug.name
    shutil.copytree(pristine, copy, ignore=shutil.ignore_patterns("__pycache__"))
    try:
        plant(bug, copy)
        outcome = searches.search(copy, range(seeds))
    finally:
        shutil.rmtree(copy)
    seed = outcome.caught
    if seed is not None and seed >= UNPLANTED_SEEDS:
        without = searches.search(pristine, range(seed, seed + 1))
        if without.caught is not None:
            raise SearchBroke(f"seed {seed} fails without the bug too: {without.by}")
    return outcome


def ended(jobs: Iterable[Future[Outcome]], step: Step) -> Iterator[Future[Outcome]]:
    """Give jobs as they end."""
    left = set(jobs)
    while left:
        step()
        done, left = wait(left, HEARING, FIRST_COMPLETED)
        yield from done


def check_unplanted(
    searches: Searches, pristine: Path, seeds: int, pool: ThreadPoolExecutor, step: Step
) -> Outcome:
    """Simulate seeds without a bug, in as many parts as there are processors.

    Raises:
        SearchBroke: if a part of it broke.
    """
    part = -(-seeds // (os.cpu_count() or 1))
    parts = [range(at, min(at + part, seeds)) for at in range(0, seeds, part)]
    jobs = [pool.submit(searches.search, pristine, one) for one in parts]
    for job in ended(jobs, step):
        job.result()
    outcomes = [job.result() for job in jobs]
    wrong = next((one for one in outcomes if one.caught is not None), outcomes[0])
    return Outcome(
        sum(one.seeds for one in outcomes),
        wrong.caught,
        wrong.by,
        max(one.seconds for one in outcomes),
    )


def run(bugs: Sequence[Bug], *, seeds: int, scenario: str) -> int:
    """Search for each bug; print what caught it; give the exit status."""
    searches = Searches(scenario)
    began = monotonic()
    outcomes: dict[Bug, Outcome | Exception] = {}
    with (
        tempfile.TemporaryDirectory(prefix="limner-planted-") as made,
        interrupted_between_steps() as step,
    ):
        folder = Path(made).resolve()
        pristine = folder / "pristine"
        pool = ThreadPoolExecutor(os.cpu_count() or 1)
        try:
            copy_checkout(pristine)
            tell(f"without a bug: {min(seeds, UNPLANTED_SEEDS)} seeds of {scenario}")
            clean = check_unplanted(searches, pristine, min(seeds, UNPLANTED_SEEDS), pool, step)
            if clean.caught is not None:
                print(f"without a bug: seed {clean.caught} failed: {short(clean.by, 500)}")
                return 1
            print(f"without a bug: nothing is wrong in {clean.seeds} seeds")
            jobs = {
                pool.submit(search_planted, searches, bug, folder, pristine, seeds): bug
                for bug in bugs
            }
            for job in ended(jobs, step):
                bug = jobs[job]
                try:
                    outcomes[bug] = job.result()
                except (NotPlantable, SearchBroke) as error:
                    outcomes[bug] = error
                tell(f"{len(outcomes)} of {len(bugs)}: {bug.name}: {verdict(outcomes[bug])}")
        except SearchBroke as error:
            print(f"without a bug: {short(str(error), 500)}")
            return 1
        except KeyboardInterrupt:
            tell("interrupted")
            return 130
        finally:
            searches.stop()
            pool.shutdown(cancel_futures=True)
    print_table([(bug, outcomes[bug]) for bug in bugs])
    caught = sum(is_caught(one) for one in outcomes.values())
    print(f"{caught} of {len(bugs)} bugs were caught, in {monotonic() - began:.0f} s")
    return 0 if caught == len(bugs) else 1


def is_caught(outcome: Outcome | Exception) -> bool:
    """Say whether a bug was caught."""
    return isinstance(outcome, Outcome) and outcome.caught is not None


def verdict(outcome: Outcome | Exception) -> str:
    """Say in a few words how a search went."""
    if not isinstance(outcome, Outcome):
        return str(outcome)
    if outcome.caught is None:
        return f"NOT CAUGHT in {outcome.seeds} seeds"
    return f"caught at seed {outcome.caught}"


def print_table(rows: Iterable[tuple[Bug, Outcome | Exception]]) -> None:
    """Print what became of each bug: the seed, the seeds run, the seconds, and what caught it."""
    print(f"{'bug':<34} {'seed':>5} {'run':>4} {'s':>6}  caught by")
    for bug, outcome in rows:
        if isinstance(outcome, Outcome):
            seed = "-" if outcome.caught is None else str(outcome.caught)
            by = short(outcome.by, 160) or "NOT CAUGHT"
            print(f"{bug.name:<34} {seed:>5} {outcome.seeds:>4} {outcome.seconds:>6.1f}  {by}")
        else:
            print(f"{bug.name:<34} {'-':>5} {0:>4} {'-':>6}  {short(str(outcome), 300)}")


def short(text: str, limit: int) -> str:
    """Give the beginning of a text, as one line that may be shown."""
    line = "".join(one if one.isprintable() else " " for one in text)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def tell(line: str) -> None:
    """Say how far it is, on standard error."""
    print(line, file=sys.stderr, flush=True)


def chosen(names: Sequence[str]) -> list[Bug]:
    """Give the bugs of these names, or all.

    Raises:
        ValueError: if there is none of a name.
    """
    by_name = {bug.name: bug for bug in BUGS}
    for name in names:
        if name not in by_name:
            raise ValueError(f"there is no bug {short(name, 60)!r}; --list names them")
    return [by_name[name] for name in dict.fromkeys(names)] or list(BUGS)


def number(text: str) -> int:
    """Read a number of seeds.

    Raises:
        argparse.ArgumentTypeError: if it is none.
    """
    if text.isascii() and text.isdecimal() and 1 <= int(text[:8]) <= 1_000_000:
        return int(text)
    raise argparse.ArgumentTypeError("write a number from 1 to 1000000")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; give its exit status."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which bugs; all by default")
    parser.add_argument("--list", action="store_true", help="name the bugs, and plant none")
    parser.add_argument("--seeds", type=number, default=200, help="for each bug; 200 by default")
    parser.add_argument("--scenario", default="chaos", help="chaos by default")
    given = parser.parse_args(arguments)
    try:
        bugs = chosen(given.names)
    except ValueError as error:
        parser.error(str(error))
    if given.list:
        for bug in bugs:
            print(f"{bug.name:<34} {bug.file:<28} {bug.what}")
        return 0
    return run(bugs, seeds=given.seeds, scenario=given.scenario)


if __name__ == "__main__":
    sys.exit(main())
