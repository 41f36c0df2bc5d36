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
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

CHECKOUT = Path(__file__).resolve().parent.parent
FOLDERS = ("actors", "messages", "scripts")
UNPLANTED_SEEDS = 50
PATIENCE = 60
"""Seconds of real time after which a seed is taken to hang."""


@dataclass(frozen=True)
class Bug:
    """A slip of the hand.

    Args:
        name: what it is called.
        what: what goes wrong, in a sentence.
        file: where, from the checkout.
        old: what stands there, exactly once.
        new: what is put in its place.
    """

    name: str
    what: str
    file: str
    old: str
    new: str


BUGS = (
    # --- slots
    Bug(
        "release-left-out",
        "A slot is not given back when its call has ended.",
        "actors/processor.py",
        "            self.limiter.tell(ReleaseSlot(slot_id=work.grant.slot_id))\n"
        "        work.timer",
        "            pass\n        work.timer",
    ),
    Bug(
        "release-left-out-after-timeout",
        "A slot is not given back when its call is abandoned after the grace.",
        "actors/processor.py",
        "task_id=work.task.id, attempt=message.attempt)\n        self.give_back(work)\n",
        "task_id=work.task.id, attempt=message.attempt)\n",
    ),
    Bug(
        "crossed-grant-kept",
        "A grant that crosses with the withdrawal of its request is not given back.",
        "actors/processor.py",
        "            self.limiter.tell(ReleaseSlot(slot_id=grant.slot_id))\n            return\n",
        "            return\n",
    ),
    Bug(
        "request-forgotten",
        "A cancelled task forgets its request instead of withdrawing it.",
        "actors/processor.py",
        "        if work.call is None:\n            self.give_back(work)\n        else:",
        "        if work.call is None:\n            work.request_id = None\n        else:",
    ),
    Bug(
        "grant-too-many",
        "The lane grants while it is full.",
        "messages/lanes.py",
        "if self.weight_out + request.weight > self.settings.max_concurrent:",
        "if self.weight_out > self.settings.max_concurrent:",
    ),
    Bug(
        "expiry-counted-twice",
        "The weight of an expired slot is taken back twice.",
        "messages/lanes.py",
        "            self.release(slot.id)\n            over.append(slot)",
        "            self.release(slot.id)\n"
        "            self.weight_out -= slot.request.weight\n            over.append(slot)",
    ),
    Bug(
        "min-time-forgotten",
        "A lane whose settings change forgets when it granted last.",
        "actors/limiter.py",
        "        lane.settings = message.settings\n",
        "        lane.settings, lane._last_grant = message.settings, None\n",
    ),
    Bug(
        "session-gone-untold",
        "The limiter is not told that a session's actors have ended.",
        "actors/root.py",
        "        self.limiter.tell(SessionGone(session_id=opening.session_id))\n",
        "",
    ),
    Bug(
        "lane-not-looked-at-again",
        "Nobody looks at a lane again once its `min_time` is over.",
        "messages/lanes.py",
        "            times.append(free)\n",
        "            pass\n",
    ),
    Bug(
        "lane-timer-stands",
        "A lane that was looked at is thought to have its timer still.",
        "actors/limiter.py",
        "                self.timers.pop(message.lane, None)\n",
        "",
    ),
    Bug(
        "lease-without-end",
        "A lease that ends is not noticed until something else happens.",
        "messages/lanes.py",
        "times = [] if first_out is None else [first_out.expires_at]",
        "times: list[int] = []",
    ),
    Bug(
        "expiry-untold",
        "The holder of an expired slot is not told.",
        "actors/limiter.py",
        "            slot.request.reply_to.tell("
        "SlotExpired(task_id=slot.request.task_id, slot_id=slot.id))\n",
        "",
    ),
    # --- tasks
    Bug(
        "late-picture-settles",
        "A picture that comes after its task was cancelled completes it.",
        "actors/processor.py",
        "        if task.state.final:\n            if error is None:\n"
        "                self.keep_late(returned.call, returned.value)\n"
        "        elif error is None:",
        "        if error is None:",
    ),
    Bug(
        "settled-twice",
        "A task that is cancelled twice settles twice.",
        "actors/processor.py",
        "        if work.task.state.final:\n            return\n        if work.call is None:\n",
        "        if work.call is None:\n",
    ),
    Bug(
        "kept-picture-used-twice",
        "A kept picture is used, and its task is generated all the same.",
        "actors/processor.py",
        "            self.complete(work, self.kept.pop(task.prompt_id), kept=True)\n"
        "            return\n",
        "            self.complete(work, self.kept.pop(task.prompt_id), kept=True)\n",
    ),
    Bug(
        "kept-pictures-awaited-in-vain",
        "A slot that came before the kept pictures were known is not used when they are.",
        "actors/processor.py",
        "                elif work.grant is not None:\n                    self.generate(work)\n",
        "",
    ),
    Bug(
        "retry-forgotten",
        "A task that failed is not tried again.",
        "actors/processor.py",
        "        work.timer = self.system.clock.after("
        "delay, self.actor_ref, RetryDue(task_id=task.id))\n",
        "",
    ),
    Bug(
        "grace-without-end",
        "A call that was cancelled is waited for without end.",
        "actors/processor.py",
        "        if not work.call.abandon():\n            return  # it came back just now",
        "        if not work.call.over:\n            return  # it came back just now",
    ),
    # --- timers
    Bug(
        "deadline-not-cancelled",
        "The timer of a session's deadline is left when the session ends.",
        "actors/session.py",
        "        for timer in (self.deadline, self.overdue):",
        "        for timer in (self.overdue,):",
    ),
    Bug(
        "call-timer-not-cancelled",
        "The timer of a call is left when the call has ended.",
        "actors/processor.py",
        "        if work.timer is not None:\n            work.timer.cancel()\n"
        "        if work.request_id is not None:",
        "        if work.request_id is not None:",
    ),
    # --- the write
    Bug(
        "write-before-the-last-settle",
        "The text is written once any of its tasks has settled.",
        "messages/tally.py",
        "self.sealed is not None and self.sealed <= self.settled.keys()",
        "self.sealed is not None and (not self.sealed or any(self.settled))",
    ),
    Bug(
        "second-write",
        "Whatever the writer hears after its write makes it write again.",
        "actors/writer.py",
        "if self.stage is Stage.GATHERING and self.tally.complete and self.loaded:",
        "if self.tally.complete and self.loaded:",
    ),
    Bug(
        "cancelled-though-written",
        "A cancel that comes while the text is written ends the session as cancelled.",
        "actors/writer.py",
        "        if self.stage is Stage.GATHERING:\n            self.skip(WriteSkipped("
        'reason="cancelled"))',
        "        if self.stage is not Stage.OVER:\n            self.skip(WriteSkipped("
        'reason="cancelled"))',
    ),
    Bug(
        "timed-out-though-written",
        "A deadline that passes while the text is written ends the session as timed out.",
        "actors/writer.py",
        "        if self.stage is Stage.GATHERING:\n            self.skip(WriteSkipped("
        'reason="timed_out"',
        "        if self.stage is not Stage.OVER:\n            self.skip(WriteSkipped("
        'reason="timed_out"',
    ),
    Bug(
        "written-before-loaded",
        "The writer does not wait for what the store holds.",
        "actors/writer.py",
        "self.tally.complete and self.loaded:",
        "self.tally.complete:",
    ),
    Bug(
        "edit-overwritten",
        "On a conflict the text of the host's edit is overwritten.",
        "actors/writer.py",
        "text = totals.text if totals.text.startswith(stored) else stored",
        "text = totals.text",
    ),
    Bug(
        "said-before-done",
        "The log says that a text is written before it is.",
        "actors/writer.py",
        "            try:\n                new_version = self.store.write(",
        '            self.say("text_written", version=0, unplaced={}, '
        "placed=[one.task_id for one in composed.placed])\n"
        "            try:\n                new_version = self.store.write(",
    ),
    Bug(
        "unplaced-unsaid",
        "A picture whose prompt is no longer in the text is not spoken of.",
        "messages/composition.py",
        "            for placement in placements\n            if placement.id not in places\n",
        "            for placement in placements\n            if placement.id is None\n",
    ),
    # --- text
    Bug(
        "split-tag-lost",
        "A tag whose beginning is split over two chunks is not found.",
        "messages/scanner.py",
        '(?:{_begun(rest)}|\\\\Z)")',
        '(?:{_begun(rest)})")',
    ),
    Bug(
        "last-chunk-unread",
        "What lies in the stream before its end is not read.",
        "actors/monitor.py",
        '            self.read("".join(items[begin:index]))\n',
        "            if not isinstance(items[index], StreamEnded):\n"
        '                self.read("".join(items[begin:index]))\n',
    ),
    Bug(
        "half-character-lost",
        "Half of a character at the end of a chunk does not wait for its other half.",
        "actors/monitor.py",
        'self.held_back = delta[-1] if "\\ud800" <= delta[-1] <= "\\udbff" else ""',
        'self.held_back = ""',
    ),
    Bug(
        "sealed-twice",
        "An interrupt after the end seals once more.",
        "actors/monitor.py",
        "                self.processor.tell(LetGo(reason=reason))\n            return\n",
        "                self.processor.tell(LetGo(reason=reason))\n",
    ),
    # --- sessions and what they run on
    Bug(
        "session-ends-before-its-processor",
        "A session does not wait for its processor to end.",
        "actors/session.py",
        "        self.children = 3\n",
        "        self.children = 2\n",
    ),
    Bug(
        "waiting-session-forgotten",
        "Only the first of the sessions that wait for a message is begun.",
        "actors/root.py",
        "            self.begin(live.waiting[0], live.waiting[1:])",
        "            self.begin(live.waiting[0], ())",
    ),
    Bug(
        "last-come-first-served",
        "A mailbox in which many messages lie gives the newest first.",
        "actors/system/mailbox.py",
        "            self._batch.reverse()\n",
        "",
    ),
    Bug(
        "number-skipped",
        "The recorder counts each event once more after a gap is ruled out.",
        "actors/recorder.py",
        "        self.write(event)\n\n    def write",
        "        self.seq += 1\n        self.write(event)\n\n    def write",
    ),
)


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


def check_unplanted(searches: Searches, pristine: Path, seeds: int, at_once: int) -> Outcome:
    """Simulate seeds without a bug, in as many parts as run at one time.

    Raises:
        SearchBroke: if a part of it broke.
    """
    part = -(-seeds // at_once)
    parts = [range(at, min(at + part, seeds)) for at in range(0, seeds, part)]
    with ThreadPoolExecutor(at_once) as pool:
        outcomes = list(pool.map(lambda one: searches.search(pristine, one), parts))
    wrong = next((one for one in outcomes if one.caught is not None), outcomes[0])
    return Outcome(
        sum(one.seeds for one in outcomes),
        wrong.caught,
        wrong.by,
        max(one.seconds for one in outcomes),
    )


def run(bugs: Sequence[Bug], *, seeds: int, scenario: str) -> int:
    """Search for each bug; print what caught it; give the exit status."""
    at_once = os.cpu_count() or 1
    searches = Searches(scenario)
    began = monotonic()
    outcomes: dict[Bug, Outcome | Exception] = {}
    with tempfile.TemporaryDirectory(prefix="limner-planted-") as made:
        folder = Path(made).resolve()
        pristine = folder / "pristine"
        pool = ThreadPoolExecutor(at_once)
        try:
            copy_checkout(pristine)
            tell(f"without a bug: {min(seeds, UNPLANTED_SEEDS)} seeds of {scenario}")
            clean = check_unplanted(searches, pristine, min(seeds, UNPLANTED_SEEDS), at_once)
            if clean.caught is not None:
                print(f"without a bug: seed {clean.caught} failed: {short(clean.by, 500)}")
                return 1
            print(f"without a bug: nothing is wrong in {clean.seeds} seeds")
            jobs = {
                pool.submit(search_planted, searches, bug, folder, pristine, seeds): bug
                for bug in bugs
            }
            for job in as_completed(jobs):
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
