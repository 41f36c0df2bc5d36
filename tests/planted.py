"""Plants bugs in copies of Limner, one by one, and reports what in the simulation catches each.

    python tests/planted.py [NAME ...] [--list] [--diff] [--seeds N] [--scenario NAME]

Each bug is a small edit of one function, as anybody may make it by mistake. It is planted in a
copy of the checkout, never in the checkout. Then seeds are simulated one after another until the
first in which something is wrong. Before that the same seeds run without a bug, and nothing may be
wrong. `--diff` shows each edit, or the function that it no longer fits.

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
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from support.planted_bugs import BUGS
from support.planting import CHAOS, FOLDERS, Bug, NotPlantable, edit, plant

from limner.scripts.signals import HEARING, Step, interrupted_between_steps

CHECKOUT = Path(__file__).resolve().parent.parent
UNPLANTED_SEEDS = 50
PATIENCE = 60
"""Seconds of real time after which a seed is taken to hang."""


class SearchBroke(Exception):
    """A search failed, so it says nothing about the bug."""


def copy_checkout(into: Path) -> None:
    """Copy the installed folders of the checkout into a namespace folder `limner` of a folder."""
    for folder in FOLDERS:
        shutil.copytree(
            CHECKOUT / folder,
            into / "limner" / folder,
            ignore=shutil.ignore_patterns("__pycache__", "stories"),
        )


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
"""What runs on a copy: prints a line for each seed, up to the first with a problem."""


@dataclass(frozen=True)
class SearchResult:
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
    """Runs searches in processes of their own, all of which can be stopped."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Kill the running searches, and start no other."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def search(self, copy: Path, seeds: range, scenario: str = CHAOS) -> SearchResult:
        """Simulate seeds on a copy, up to the first in which something is wrong.

        Args:
            copy: the folder with the namespace folder `limner`.
            seeds: which ones, in order.
            scenario: what is simulated.

        Raises:
            SearchBroke: if the process fails, or if it imported anything but the copy.
        """
        began = monotonic()
        process = self._start(copy, seeds, scenario)
        hung = threading.Event()

        def kill_hung() -> None:
            hung.set()
            process.kill()

        done, caught, by = 0, None, ""
        try:
            assert process.stdout is not None
            while True:
                watch = threading.Timer(PATIENCE, kill_hung)
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
            lines = errors.strip().splitlines() or [f"exit status {process.returncode}"]
            raise SearchBroke(f"the search broke: {lines[-1]}")
        return SearchResult(done, caught, by, monotonic() - began)

    def _start(self, copy: Path, seeds: range, scenario: str) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise SearchBroke("the search was stopped")
            arguments = [str(copy), scenario, str(seeds[0]), str(seeds[-1])]
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
) -> SearchResult:
    """Plant a bug in a copy of the pristine copy, search the copy, and remove it.

    Raises:
        NotPlantable: if it cannot be planted.
        SearchBroke: if the search broke, or the seed that it found fails without the bug too.
    """
    copy = folder / bug.name
    shutil.copytree(pristine, copy, ignore=shutil.ignore_patterns("__pycache__"))
    try:
        plant(bug, copy / "limner")
        result = searches.search(copy, range(seeds), bug.scenario)
    finally:
        shutil.rmtree(copy)
    seed = result.caught
    if seed is not None and (seed >= UNPLANTED_SEEDS or bug.scenario != CHAOS):
        without = searches.search(pristine, range(seed, seed + 1), bug.scenario)
        if without.caught is not None:
            raise SearchBroke(f"seed {seed} fails without the bug too: {without.by}")
    return result


def ended(jobs: Iterable[Future[SearchResult]], step: Step) -> Iterator[Future[SearchResult]]:
    """Yield jobs as they end."""
    left = set(jobs)
    while left:
        step()
        done, left = wait(left, HEARING, FIRST_COMPLETED)
        yield from done


def check_unplanted(
    searches: Searches, pristine: Path, seeds: int, pool: ThreadPoolExecutor, step: Step
) -> SearchResult:
    """Simulate seeds without a bug, in as many parts as there are processors.

    Raises:
        SearchBroke: if the search of a part broke.
    """
    size = -(-seeds // (os.cpu_count() or 1))
    parts = [range(first, min(first + size, seeds)) for first in range(0, seeds, size)]
    jobs = [pool.submit(searches.search, pristine, part) for part in parts]
    for job in ended(jobs, step):
        job.result()
    results = [job.result() for job in jobs]
    wrong = next((result for result in results if result.caught is not None), results[0])
    return SearchResult(
        sum(result.seeds for result in results),
        wrong.caught,
        wrong.by,
        max(result.seconds for result in results),
    )


def run(bugs: Sequence[Bug], *, seeds: int) -> int:
    """Search for each bug, print what caught it, and return the exit status."""
    searches = Searches()
    began = monotonic()
    results: dict[Bug, SearchResult | Exception] = {}
    with (
        tempfile.TemporaryDirectory(prefix="limner-planted-") as made,
        interrupted_between_steps() as step,
    ):
        folder = Path(made).resolve()
        pristine = folder / "pristine"
        pool = ThreadPoolExecutor(os.cpu_count() or 1)
        try:
            copy_checkout(pristine)
            print_progress(f"without a bug: {min(seeds, UNPLANTED_SEEDS)} seeds of {CHAOS}")
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
                    results[bug] = job.result()
                except (NotPlantable, SearchBroke) as error:
                    results[bug] = error
                print_progress(
                    f"{len(results)} of {len(bugs)}: {bug.name}: {verdict(results[bug])}"
                )
        except SearchBroke as error:
            print(f"without a bug: {short(str(error), 500)}")
            return 1
        except KeyboardInterrupt:
            print_progress("interrupted")
            return 130
        finally:
            searches.stop()
            pool.shutdown(cancel_futures=True)
    print_table([(bug, results[bug]) for bug in bugs])
    caught = sum(is_caught(result) for result in results.values())
    print(f"{caught} of {len(bugs)} bugs were caught, in {monotonic() - began:.0f} s")
    return 0 if caught == len(bugs) else 1


def is_caught(result: SearchResult | Exception) -> bool:
    """Return whether a bug was caught."""
    return isinstance(result, SearchResult) and result.caught is not None


def verdict(result: SearchResult | Exception) -> str:
    """Return in a few words how a search went."""
    if not isinstance(result, SearchResult):
        return str(result)
    if result.caught is None:
        return f"NOT CAUGHT in {result.seeds} seeds"
    return f"caught at seed {result.caught}"


def print_table(rows: Iterable[tuple[Bug, SearchResult | Exception]]) -> None:
    """Print a line for each bug: the seed, the seeds run, the seconds, and what caught it."""
    print(f"{'bug':<34} {'seed':>5} {'run':>4} {'s':>6}  caught by")
    for bug, result in rows:
        if isinstance(result, SearchResult):
            seed = "-" if result.caught is None else str(result.caught)
            by = short(result.by, 160) or "NOT CAUGHT"
            print(f"{bug.name:<34} {seed:>5} {result.seeds:>4} {result.seconds:>6.1f}  {by}")
        else:
            print(f"{bug.name:<34} {'-':>5} {0:>4} {'-':>6}  {short(str(result), 300)}")


def print_diffs(bugs: Iterable[Bug]) -> int:
    """Print what each bug changes; return the exit status: 1 if one cannot be planted."""
    status = 0
    for bug in bugs:
        try:
            print(edit(bug, CHECKOUT).diff)
        except NotPlantable as error:
            print(error)
            status = 1
    return status


def short(text: str, limit: int) -> str:
    """Return the beginning of a text as one printable line."""
    line = "".join(char if char.isprintable() else " " for char in text)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def print_progress(line: str) -> None:
    """Print a line to standard error."""
    print(line, file=sys.stderr, flush=True)


def find_bugs(names: Sequence[str]) -> list[Bug]:
    """Return the bugs of these names; all if there is no name.

    Raises:
        ValueError: if no bug has a name.
    """
    by_name = {bug.name: bug for bug in BUGS}
    for name in names:
        if name not in by_name:
            raise ValueError(f"there is no bug {short(name, 60)!r}; --list names them")
    return [by_name[name] for name in dict.fromkeys(names)] or list(BUGS)


def parse_seeds(text: str) -> int:
    """Parse a number of seeds.

    Raises:
        argparse.ArgumentTypeError: if it is no number from 1 to 1000000.
    """
    if text.isascii() and text.isdecimal() and 1 <= int(text[:8]) <= 1_000_000:
        return int(text)
    raise argparse.ArgumentTypeError("write a number from 1 to 1000000")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which bugs; all by default")
    parser.add_argument("--list", action="store_true", help="name the bugs, and plant none")
    parser.add_argument(
        "--seeds", type=parse_seeds, default=200, help="for each bug; 200 by default"
    )
    parser.add_argument("--scenario", help="for all bugs; by default the one that each names")
    parser.add_argument("--diff", action="store_true", help="show the edits, and plant none")
    given = parser.parse_args(arguments)
    try:
        bugs = find_bugs(given.names)
    except ValueError as error:
        parser.error(str(error))
    if given.list:
        for bug in bugs:
            print(f"{bug.name:<34} {bug.function:<32} {bug.what}")
        return 0
    if given.diff:
        return print_diffs(bugs)
    if given.scenario is not None:
        bugs = [replace(bug, scenario=given.scenario) for bug in bugs]
    return run(bugs, seeds=given.seeds)


if __name__ == "__main__":
    sys.exit(main())
