"""What is shown is safe for a terminal, and says how far the pictures are."""

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from limner.messages.unicode import shown
from limner.scripts.display import Lines, Panel, Progress, Record, line


def rendered(panel: Panel, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(panel.render())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def panel() -> Panel:
    panel = Panel(slots=3)
    panel.begin("'story.md'")
    panel.close()
    return panel


def detected(task: str, prompt: str) -> Record:
    return {"event": "prompt_detected", "task_id": task, "prompt": prompt}


@given(st.text(alphabet=st.characters(codec=None), max_size=300), st.integers(1, 100))
def test_what_is_shown_is_one_short_line_of_printable_characters(text: str, limit: int) -> None:
    line = shown(text, limit)
    assert len(line) <= limit
    assert all(char == " " or unicodedata.category(char)[0] not in "CZ" for char in line)


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("a \x1b[31;1mred\x1b[0m door", "a red door"),
        ("a \x1b]0;owned\x07title", "a title"),
        ("a \x1b]8;;http://x\x1b\\link", "a link"),
        ("a \x9b2Jcleared\x9dx\x9c screen", "a cleared screen"),
        ("a\r\n\tline\x00 or\u2028two", "a line or two"),
        ("\u202ereversed\u202c", "reversed"),
        ("half \ud83d a pair", "half a pair"),
        ("[bold]as it is[/bold]", "[bold]as it is[/bold]"),
    ],
)
def test_a_hostile_prompt_is_shown_without_what_moves_a_terminal(
    hostile: str, harmless: str
) -> None:
    assert shown(hostile) == harmless


def test_a_long_prompt_is_cut() -> None:
    assert shown("x" * 10_000, 10) == "xxxxxxxxx…"


def test_progress_counts_pictures_by_state_and_slots_that_are_out() -> None:
    progress = Progress()
    for task in "abcd":
        progress.update(detected(task, f"prompt {task}"))
    for record in (
        {"event": "slot_granted", "task_id": "a", "slot_id": "1"},
        {"event": "generation_started", "task_id": "a"},
        {"event": "slot_granted", "task_id": "b", "slot_id": "2"},
        {"event": "generation_started", "task_id": "b"},
        {"event": "slot_released", "task_id": "a", "slot_id": "1"},
        {"event": "task_settled", "task_id": "a", "state": "completed"},
        {"event": "task_settled", "task_id": "c", "state": "failed", "reason": "no"},
        {"event": "something_of_a_later_version"},
    ):
        progress.update(record)
    assert progress.counts == {"drawn": 1, "drawing": 1, "failed": 1, "waiting": 1}
    assert progress.drawing == ["prompt b"]
    assert progress.slots == {"2"}


def test_each_thing_that_happens_is_one_line() -> None:
    assert line(detected("a", "x"), "a door") == "found   a door"
    settled = {"event": "task_settled", "task_id": "a", "state": "completed", "reason": None}
    assert line(settled, "a door") == "drawn   a door"
    failed = {**settled, "state": "failed", "reason": "out\nof \x1b[1mink"}
    assert line(failed, "a door") == "failed  a door: out of ink"
    again = {"event": "generation_failed", "final": False, "reason": "busy"}
    assert line(again, "a door") == "failed  a door, will try again: busy"
    assert line({"event": "slot_granted"}, "a door") is None


def test_lines_go_to_standard_error_alone(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines.begin("standard input")
    lines.show_event(detected("a", "a \x1b[2Jdoor"))
    lines.error("it broke")
    captured = capsys.readouterr()
    assert captured.err == "reading standard input\nfound   a door\nlimner: it broke\n"
    assert not captured.out


def test_the_live_display_shows_characters_pictures_and_slots(panel: Panel) -> None:
    assert "none found yet" in rendered(panel)
    panel.show_event(detected("a", "a [red]door[/red]"))
    panel.show_event(detected("b", "a window"))
    panel.show_event({"event": "slot_granted", "task_id": "a", "slot_id": "1"})
    panel.show_event({"event": "generation_started", "task_id": "a"})
    panel.refresh(1234)
    frame = rendered(panel)
    assert "'story.md'  1,234 characters" in frame
    assert "1 drawing · 1 waiting" in frame
    assert "■□□ 1 of 3 in use" in frame
    assert "a [red]door[/red]" in frame
    assert "a window" not in frame


def test_the_live_display_keeps_within_a_few_short_lines(panel: Panel) -> None:
    for number in range(50):
        panel.show_event(detected(str(number), "a very long prompt " * 20))
        panel.show_event({"event": "generation_started", "task_id": str(number)})
    lines = rendered(panel, width=40).splitlines()
    assert len(lines) <= 11
    assert max(map(len, lines)) <= 40
    assert "and 44 more" in lines[-1]
