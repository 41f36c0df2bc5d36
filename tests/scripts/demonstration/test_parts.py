"""What the demo is made of: slow sketches, thumbnails, lines that break, and what is seen."""

import io
from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.cells import cell_len
from rich.console import Console

from limner.actors.generators import Sketch
from limner.messages.errors import GenerationFailed
from limner.scripts.demonstration.show import PlainShow, Stage
from limner.scripts.demonstration.slow_sketch import QUICKEST, SLOWEST, SlowSketch, seconds
from limner.scripts.demonstration.thumbnails import half_blocks, side_by_side
from limner.scripts.demonstration.watched import Watched
from limner.scripts.demonstration.wrapping import breaks, printable

TASK = SimpleNamespace(prompt="a lighthouse", seed=7)


class Waited:
    """Notes how long a generator waits, and whether that was cut short."""

    def __init__(self, cancelled=False):
        self.cancelled, self.waits = cancelled, []

    def is_set(self):
        return False

    def wait(self, timeout=None):
        self.waits.append(timeout)
        return self.cancelled


def test_a_slow_sketch_is_the_sketch_some_seconds_later():
    waited = Waited()
    assert SlowSketch().generate(TASK, waited) == Sketch().generate(TASK, waited)
    assert waited.waits == [seconds(TASK.prompt)]
    with pytest.raises(GenerationFailed) as failed:
        SlowSketch().generate(TASK, Waited(cancelled=True))
    assert not failed.value.retryable


@given(st.text())
def test_a_sketch_takes_one_to_three_seconds_the_same_for_a_prompt(prompt):
    assert (QUICKEST, SLOWEST) == (1, 3)
    assert QUICKEST <= seconds(prompt) <= SLOWEST
    assert seconds(prompt) == seconds(prompt)


@given(st.text(st.sampled_from("ab  \u706f\u0301\u2026-")), st.integers(2, 30))
def test_lines_are_no_wider_than_the_terminal_and_lose_only_spaces(text, width):
    places = breaks(text, width)
    assert all(cell_len(text[start:end]) <= width for start, end in places)
    assert (places[0][0], places[-1][1]) == (0, len(text))
    for (_, end), (start, _) in pairwise(places):
        assert text[end:start] in {"", " "}


def test_a_line_breaks_at_its_last_space_and_a_long_word_is_cut():
    text = "one two three fourfourfour"
    assert [text[a:b] for a, b in breaks(text, 8)] == ["one two", "three", "fourfour", "four"]


@given(st.text())
def test_nothing_that_moves_a_terminal_is_shown(text):
    safe = printable(text)
    assert len(safe) == len(text)
    assert all(char.isprintable() or char == "\n" for char in safe)


def test_a_thumbnail_shows_two_pixels_in_each_cell(tmp_path):
    picture = Image.new("RGB", (200, 100), (200, 10, 20))
    picture.paste((10, 20, 200), (0, 44, 200, 100))
    picture.save(tmp_path / "p.png")
    lines = half_blocks(tmp_path / "p.png", 20)
    assert {len(line) for line in lines} == {20}
    assert {line.plain for line in lines} == {"\u2580" * 20}

    def of(line):
        style = line.spans[0].style
        return [*style.color.triplet, *style.bgcolor.triplet]

    assert of(lines[0]) == pytest.approx([200, 10, 20] * 2, abs=3)
    assert of(lines[-1]) == pytest.approx([10, 20, 200] * 2, abs=3)


@given(st.integers(1, 5), st.integers(10, 250), st.integers(16, 60))
def test_thumbnails_fit_whatever_the_terminal(number, width, height):
    lines = side_by_side([("a \u706f house " * 9, "gone.png")] * number, width, height)
    assert max(cell_len(line.plain) for line in lines) <= width


def test_a_prompt_is_named_where_its_picture_cannot_be_read(tmp_path):
    (tmp_path / "p.png").write_bytes(b"none")
    lines = side_by_side([("a door", tmp_path / "p.png")], 80, 40)
    assert [line.plain.strip() for line in lines] == ["a door", ""]


def events(task, *names):
    for name in names:
        state = {"state": "completed"} if name == "task_settled" else {}
        yield {"event": name, "task_id": task, "prompt": task, "path": f"{task}.png", **state}


def test_what_is_drawn_and_waits_at_one_time_is_counted():
    watched = Watched(2)
    for task in "abcd":
        for event in events(task, "prompt_detected"):
            watched.update(event, 1)
    assert watched.most_waiting == 0  # no slot is taken yet
    for task in "ab":
        for event in events(task, "generation_started"):
            watched.update(event, 2)
    assert (watched.at_work, watched.waiting) == (["a", "b"], ["c", "d"])
    assert (watched.most_drawn, watched.most_waiting) == (2, 2)
    for event in [*events("a", "generation_completed", "task_settled")]:
        watched.update(event, 3.5)
    assert watched.at_work == [None, "b"]
    assert watched.took == {"a": 1.5}
    assert [prompt for prompt, _ in watched.take_finished()] == ["a"]
    assert watched.take_finished() == []


def stage(width):
    terminal = io.StringIO()
    console = Console(file=terminal, width=width, height=30, force_terminal=True)
    return Stage(2, console), terminal


@given(st.lists(st.text(st.sampled_from("ab \n<>!\u706f"), max_size=40)), st.integers(40, 90))
def test_the_text_scrolls_by_whole_whatever_pieces_it_comes_in(pieces, width):
    def printed(pieces):
        show, terminal = stage(width)
        for piece in pieces:
            show.show_text(piece)
        show.close()
        return terminal.getvalue()

    assert printed(pieces) == printed(["".join(pieces)])


@given(st.text(st.sampled_from("ab \n"), min_size=1, max_size=300))
def test_what_has_scrolled_is_not_in_the_frame_below_it(text):
    show, _ = stage(40)
    frames = []
    show._print = lambda *lines: frames.append((lines, show._styled()[show._from :].plain))
    show.show_text(text)
    printed = "".join(str(line) for lines, _ in frames for line in lines)
    _, below = frames[-1] if frames else ("", "")
    letters = [char for char in text if char not in " \n"]
    assert [char for char in printed + show._line[show._from :] if char != " "] == letters
    assert text.endswith(below) or not below


def test_a_note_follows_the_text_that_has_come():
    show, terminal = stage(60)
    show.show_text("She thought ab")
    show.note("interrupted")
    show.close()
    plain = terminal.getvalue()
    assert plain.index("She thought ab") < plain.index("interrupted")


def test_a_frame_has_as_many_lines_whatever_happens():
    show, _ = stage(60)
    console = Console(width=60, height=30)
    heights = set()
    for task in "abcde":
        for event in events(task, "prompt_detected", "generation_started"):
            show.show_event(event)
            show.show_text(f"{'word ' * 9}{task}")
            heights.add(len(console.render_lines(show.render())))
    assert heights == {6}


def test_a_plain_line_of_the_text_is_not_broken_by_an_event(capsys):
    show = PlainShow(2)
    show.show_text("He climbed ")
    for event in events("a", "prompt_detected", "generation_started"):
        show.show_event(event)
    assert capsys.readouterr().out == "He climbed "
    show.show_text("the stairs\x1b[2J.\nAnd")
    expected = "the stairs [2J.\n    [found   a]\n    [drawing a]\nAnd"
    assert capsys.readouterr().out == expected
    show.note("interrupted")
    show.close()
    assert capsys.readouterr().out == "\ninterrupted\n"
