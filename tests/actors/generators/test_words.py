"""How a prompt's words are read."""

from hypothesis import given
from hypothesis import strategies as st

from limner.actors.generators.sketch.figures import _CUSTOMARY, _FLYING, _STANDING
from limner.actors.generators.sketch.palettes import GROUNDS
from limner.actors.generators.sketch.palettes import MOODS as PAINTED
from limner.actors.generators.sketch.words import MOODS, OUTDOORS, PLACES, THINGS, read


def test_the_words_name_the_mood_the_place_and_the_things():
    reading = read("Two LIGHTHOUSES over a stormy sea, at night; a boat")
    assert reading.moods == ("storm", "night")
    assert reading.place == "sea"
    assert {"lighthouse", "boat"} <= set(reading.things)
    assert reading.mood_known


def test_a_colour_word_tints_and_a_pictograph_counts_as_its_name():
    assert read("a crimson door").tint == (164, 30, 52)
    assert read("🏰").things == ("castle",)
    assert read("🌊").place == "sea"


def test_a_word_inside_another_is_not_that_word():
    assert "cat" not in read("concatenated scattering").things
    assert read("nightingale").mood_known is False


@given(st.text(max_size=80))
def test_words_that_are_not_known_choose_by_the_whole_prompt(prompt):
    reading = read(prompt)
    assert reading == read(prompt)
    assert reading.moods
    assert set(reading.moods) <= set(MOODS)
    assert reading.place in PLACES
    assert 0 <= reading.chance(7) < 65_536


def test_prompts_of_unknown_words_spread_over_all_moods_and_places():
    readings = [read(f"zzz {number}") for number in range(600)]
    assert {reading.moods[0] for reading in readings} == set(MOODS)
    assert {reading.place for reading in readings} == set(OUTDOORS)


def test_every_mood_and_place_has_colours_and_every_customary_thing_can_be_drawn():
    assert set(PAINTED) == set(MOODS)
    assert set(GROUNDS) == set(PLACES)
    assert set(_STANDING) | set(_FLYING) <= set(THINGS)
    assert {thing for things in _CUSTOMARY.values() for thing in things} <= set(_STANDING)
