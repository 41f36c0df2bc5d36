"""A pattern that is slow takes no more of a text's time, and of other threads', than its budget."""

import threading
import time
from contextlib import closing
from itertools import count

import pytest

from limner.actors import SimulatedSystem
from limner.messages.errors import SettingsInvalid
from limner.messages.settings import Settings
from limner.messages.text.notation import Notation
from limner.messages.text.pattern_budget import HELD, PatternBudget
from limner.messages.text.patterns import MAX_WRITTEN_OUT, compile_patterns
from limner.messages.text.prompt_tags import PromptTags
from limner.messages.text.scanner import PromptScanner, find_prompts

SLOW = r"<p>((?:\w|\w\w)*)</p>"
AHEAD = r"<q>((?:\w|\w\w)*)(?!x)</q>"
FAST = r"\{(.*?)\}"


def slow(places: int, length: int = 22, name: str = "p") -> str:
    return f"<{name}>{'a' * length}! </{name}> {{cat}} " * places


def scanned(text: str, *patterns: str, **options) -> tuple[PromptScanner, int]:
    scanner = PromptScanner(patterns, **options)
    return scanner, len(scanner.feed(text) + scanner.close())


@pytest.mark.parametrize(("pattern", "name"), [(SLOW, "p"), (AHEAD, "q")])
def test_matches_that_are_each_quick_are_bounded_together(pattern, name):
    budget = PatternBudget(0.05, time.thread_time)
    text = slow(200, name=name)
    begun = time.thread_time()
    scanner, found = scanned(text, pattern, FAST, budget=budget)
    assert scanner.dropped == (pattern,)
    assert found == 200
    assert time.thread_time() - begun < 1


def test_one_match_ends_with_the_budget():
    scanner, found = scanned(slow(3, 60), SLOW, FAST, budget=PatternBudget(0.05, time.thread_time))
    assert scanner.dropped == (SLOW,)
    assert found == 3


def test_without_a_budget_each_place_is_tried():
    scanner, found = scanned(slow(3), SLOW, FAST, timeout=5.0)
    assert not scanner.dropped
    assert found == 3


def test_without_a_clock_there_is_no_budget():
    assert Notation(budget=1).new_budget() is None
    assert Notation(clock=time.thread_time).new_budget() is None
    assert Settings().notation.but(clock=time.thread_time).new_budget() is not None
    with closing(SimulatedSystem(seed=1)) as system:
        assert system.cpu_clock is None


def test_the_pattern_that_has_spent_the_most_is_dropped():
    budget = PatternBudget(1, lambda: 0.0)
    assert budget.charge("a", 0.3) is None
    assert budget.charge("b", 0.6) is None
    assert budget.charge("a", 0.2) == "b"
    assert budget.left == pytest.approx(0.5)
    assert budget.charge("c", 0.2) is None
    assert budget.charge("c", 0.3) == "a"


def test_a_quick_pattern_is_not_dropped_for_a_slow_one():
    ticks = count()
    budget = PatternBudget(40, lambda: next(ticks))  # a match takes a second
    text = "<p>x {cat} " * 5 + "<p>x " * 100
    scanner, found = scanned(text, SLOW, FAST, budget=budget)
    assert scanner.dropped == (SLOW,)
    assert found == 5


def test_built_in_patterns_are_never_dropped():
    ticks = count()
    budget = PatternBudget(1, lambda: next(ticks))
    text = '<img-prompt="a"><!-- img-prompt="b" -->'
    for patterns in (Settings().patterns, Settings(patterns="tolerant").patterns):
        scanner, found = scanned(text, *patterns, budget=budget)
        assert not scanner.dropped
        assert found


def test_other_threads_run_while_a_slow_pattern_is_matched():
    gaps, stop = [], threading.Event()

    def beat():
        last = time.monotonic()
        while not stop.is_set():
            time.sleep(0.001)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    thread = threading.Thread(target=beat)
    thread.start()
    begun = time.monotonic()
    scanned("<p>" + "a" * 60 + "!</p>", SLOW, timeout=1.0)
    took = time.monotonic() - begun
    stop.set()
    thread.join()
    assert took > 0.1
    assert max(gaps) < took / 2


def test_the_interpreter_is_let_go_only_for_what_is_slow():
    runs = []

    class Run:
        def __call__(self, *_, timeout, concurrent, **__):
            runs.append((timeout, concurrent))
            if timeout == HELD and len(runs) == 2:
                raise TimeoutError

    scanner = PromptScanner((SLOW,), timeout=2.0)
    (rule,) = (rule for rule in scanner._rules["<"] if rule.watched)
    for _ in range(3):
        scanner._run(rule, Run(), "text", 0, 4)
    assert runs == [(HELD, False), (HELD, False), (2.0, True), (2.0, True)]


def test_reading_a_stored_text_has_the_same_budget():
    notation = Notation(patterns=(SLOW, FAST), budget=0.05, clock=time.thread_time)
    begun = time.thread_time()
    tags = PromptTags(slow(200), message_id="m", notation=notation)
    assert len(tags.matches) == 200
    assert time.thread_time() - begun < 1


def test_find_prompts_takes_a_budget():
    budget = PatternBudget(0.02, time.thread_time)
    assert len(find_prompts(slow(100), (SLOW, FAST), budget=budget)) == 100


@pytest.mark.parametrize(
    "inside",
    [
        "(?:a{1000}){1000}",
        "(?:(?:a{30}){30}){30}",
        "a{20000}",
        "a{99999999999}",
        "(?:ab){1000,}" * 9,
        "(?:[a-z]{200,400}|b){51}",
        "(?=a{20000}).",
        "(?:" * 20 + "a" + "){2}" * 20,
        "(?:" * 90 + "a" + "){2}" * 90,
        r"(?:\w\d{9}[^{]){999}",
    ],
)
def test_counts_are_multiplied_before_a_pattern_is_compiled(inside, monkeypatch):
    monkeypatch.setattr("regex.compile", lambda *_: pytest.fail("it was compiled"))
    with pytest.raises(SettingsInvalid, match=r"repeats its parts to .* lower its counts"):
        compile_patterns((f"<({inside})>",))


@pytest.mark.parametrize(
    "inside",
    [
        "a{9000}",
        "(?:a{90}){100}",
        "(?:a{0,1000}){0,1000}",
        "(?:a{5000})*",
        "[{9999}]{9}",
        r"\{99999\}",
        "(?:a{1000}){,1000}",
    ],
)
def test_counts_that_cost_little_are_no_matter(inside):
    (pattern,) = compile_patterns((f"<({inside})>",))
    assert pattern.compiled.groups == 1
    assert MAX_WRITTEN_OUT == 10_000


@pytest.mark.parametrize("source", ["<(a", "*", "){9}", "((((", "{9}{9}", "[", "\\"])
def test_what_is_no_pattern_is_refused_as_before(source):
    with pytest.raises(SettingsInvalid):
        compile_patterns((source,))
