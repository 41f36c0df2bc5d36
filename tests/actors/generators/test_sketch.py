"""The embedded generator: its pictures are reproducible, differ by prompt, and name it."""

import hashlib
import os
import subprocess
import sys
import threading
from io import BytesIO
from itertools import combinations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from limner.actors.generators import Sketch
from limner.actors.generators.sketch.caption import MAX_LINES, caption, legible, wrapped
from limner.messages.errors import GenerationFailed, SettingsInvalid
from limner.messages.tasks import Task

GO_ON = threading.Event()
PROMPTS = (
    "a lighthouse in a storm at night", "a calm sea at dawn", "a forest in winter, snow falling",
    "a castle on a hill at sunset", "the city at night, neon and rain", "misty mountains",
    "desert dunes under a full moon", "a letter by candlelight", "a lake in autumn",
    "a garden in spring", "a village on fire", "quarterly revenue", "hope", "justice", "xyzzy",
    "a whale, blue", "a red canyon", "a bridge over the river at noon",
)  # fmt: skip
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)


def task(prompt: str, seed: int = 7) -> Task:
    return Task(id="t", session_id="s", message_id="m", prompt_id="p", prompt=prompt, seed=seed)


def drawn(prompt: str, seed: int = 7, **size: int) -> bytes:
    return Sketch(**size).generate(task(prompt, seed), GO_ON).data


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data), formats=["PNG"])
    image.load()
    return image


def colours(data: bytes) -> list[tuple[int, ...]]:
    """Return the mean colours of twelve parts of a picture, without its paper."""
    image = opened(data).convert("RGB")
    width, height = image.size
    small = image.crop((30, 30, width - 30, round(height * 0.85))).resize(
        (4, 3), Image.Resampling.BOX
    )
    return [small.getpixel((x, y)) for y in range(3) for x in range(4)]  # type: ignore[misc]


def distance(one: list[tuple[int, ...]], other: list[tuple[int, ...]]) -> float:
    """Return the mean distance of two pictures for each part and channel, 0 to 255."""
    channels = [
        abs(a - b) for p, q in zip(one, other, strict=True) for a, b in zip(p, q, strict=True)
    ]
    return sum(channels) / len(channels)


def test_a_sketch_is_a_png_of_the_size_that_was_asked_for():
    assert opened(drawn("a boat")).size == (768, 512)
    assert opened(drawn("a boat", width=200, height=400)).size == (200, 400)
    assert Sketch().generate(task("a boat"), GO_ON).media_type == "image/png"


def test_the_same_prompt_and_seed_give_the_same_bytes_whatever_the_hash_seed():
    code = (
        "import hashlib, threading\n"
        "from limner.actors.generators import Sketch\n"
        "from limner.messages.tasks import Task\n"
        f"for prompt in {PROMPTS!r}:\n"
        "    names = dict(id='t', session_id='s', message_id='m', prompt_id='p')\n"
        "    task = Task(prompt=prompt, seed=7, **names)\n"
        "    data = Sketch().generate(task, threading.Event()).data\n"
        "    print(hashlib.sha256(data).hexdigest())\n"
    )
    here = [hashlib.sha256(drawn(prompt)).hexdigest() for prompt in PROMPTS]
    for seed in ("1", "2", "random"):
        there = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.split() == here


def test_another_seed_gives_another_picture_in_the_same_colours():
    for prompt in ("a forest", "a boat at sea", "hope"):
        one, other = drawn(prompt, 1), drawn(prompt, 2)
        assert opened(one).tobytes() != opened(other).tobytes()
        assert opened(one).getpixel((50, 25)) == pytest.approx(
            opened(other).getpixel((50, 25)), abs=40
        )


def test_prompts_of_different_words_look_different():
    pictures = {prompt: colours(drawn(prompt)) for prompt in PROMPTS}
    apart = sorted(distance(*pair) for pair in combinations(pictures.values(), 2))
    assert apart[len(apart) // 2] > 40, "half of the pairs are far apart"
    assert apart[len(apart) // 20] > 12, "and next to none are close"
    assert len({tuple(parts[0]) for parts in pictures.values()}) == len(pictures), "a sky each"


def test_a_word_for_the_hour_decides_how_light_it_is():
    def light(prompt: str) -> float:
        return sum(map(sum, colours(drawn(prompt)))) / 36

    for place in ("a forest", "the sea", "a village", "a mountain", "the desert"):
        assert light(f"{place} at noon") > light(f"{place} at midnight") + 60
        assert light(f"{place} in winter snow") > light(f"{place} in a thunderstorm") + 40


def test_pictures_of_prompts_that_differ_in_one_word_differ():
    one, other = drawn("a lighthouse by the sea"), drawn("a boat by the sea")
    assert distance(colours(one), colours(other)) > 3


def test_prompt_and_seed_are_in_the_metadata():
    for prompt in ("a quiet sea", "море на рассвете", "日本の城 🏯", 'a "quoted" <tag>\nand more'):
        image = opened(drawn(prompt, 4_294_967_295))
        assert image.text["prompt"] == prompt  # type: ignore[attr-defined]
        assert image.text["seed"] == "4294967295"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "prompt",
    [
        "", " ", "\n\n\t", "x" * 10_000, "wide words " * 1_000, "W" * 400,
        "\0\x01\x1b[31m", "\ud800", "a \udfff b", "😀" * 500, "👨‍👩‍👧‍👦 🏴‍☠️",
        "\u202eright to left", "שלום עולם", "مرحبا بالعالم", "中文的提示",
        "e" + "\u0301" * 3_000, "\U0010ffff", "%s {0} $HOME ../../etc/passwd", "a\u2028b\u2029c",
    ],
)  # fmt: skip
def test_a_hostile_prompt_is_drawn(prompt):
    image = opened(drawn(prompt))
    assert image.size == (768, 512)
    assert "prompt" in image.text  # type: ignore[attr-defined]


@settings(max_examples=60)
@given(prompt=ANY_TEXT, seed=st.integers(0, 2**32 - 1), side=st.integers(128, 300))
@example(prompt="\ud800\0", seed=0, side=128)
def test_any_prompt_is_drawn_and_can_be_opened(prompt, seed, side):
    data = drawn(prompt, seed, width=side, height=side)
    assert opened(data).size == (side, side)
    assert data == drawn(prompt, seed, width=side, height=side)


@settings(max_examples=300)
@given(prompt=ANY_TEXT)
def test_a_caption_holds_only_letters_that_the_font_has(prompt):
    font = ImageFont.load_default(16)
    missing = bytes(font.getmask("\uffff"))
    text = legible(prompt)
    assert all(char == " " or bytes(font.getmask(char)) != missing for char in text)


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("Ein Mädchen, größer — naïve", "Ein Madchen, grosser - naive"),
        ("Маяк в море", "Mayak v more"),
        ("Θάλασσα", "Thalassa"),
        ("한국", "hangug"),
        ("さくら", "sakura"),
        ("a 🌊 here", "a [water wave] here"),
        ("中文的提示", "…"),
        ("sea 海 and 山", "sea … and …"),
        ("a\0b\x1b[0m\u202ec", "ab[0mc"),
    ],
)
def test_a_prompt_in_other_letters_is_spelt_or_left_open(prompt, shown):
    assert legible(prompt) == shown


@settings(max_examples=200)
@given(words=st.lists(st.text("abcWi.", min_size=1, max_size=60), max_size=40))
def test_a_caption_fits_its_lines_and_says_that_it_was_cut(words):
    font, text = ImageFont.load_default(16), " ".join(words)
    lines = wrapped(text, font, 400)
    assert len(lines) <= MAX_LINES
    assert all(font.getlength(line) <= 400 for line in lines)
    assert " ".join(lines) == text or lines[-1].endswith("…")


def test_a_caption_is_dark_on_light():
    darkest, lightest = caption("a quiet sea", 600, 512).convert("L").getextrema()
    assert lightest > 220
    assert darkest < 90


def test_a_cancelled_sketch_fails_and_is_not_tried_again():
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(GenerationFailed) as failed:
        Sketch().generate(task("a boat"), cancelled)
    assert not failed.value.retryable


def test_a_sketch_out_of_bounds_is_refused_by_name():
    with pytest.raises(SettingsInvalid, match=r"height: .* 128 to 4096 .* 5000"):
        Sketch(height=5_000)
    with pytest.raises(SettingsInvalid, match="width"):
        Sketch(width=0)


def test_threads_that_draw_at_one_time_share_nothing():
    alone = [drawn(prompt) for prompt in PROMPTS[:6]]
    together: list[bytes] = [b""] * 6

    def draw(at: int) -> None:
        together[at] = drawn(PROMPTS[at])

    threads = [threading.Thread(target=draw, args=(at,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
