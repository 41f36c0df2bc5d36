"""Settings: bounds, and what is said of what is out of them."""

import pytest

from limner.messages import LaneSettings, Settings
from limner.messages.errors import LimnerError, SettingsInvalid


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"slots": 0}, "slots: .* not 0"),
        ({"slots": "many"}, "slots: .* not 'many'"),
        ({"deadline": float("inf")}, "deadline: "),
        ({"grace": -1}, "grace: "),
        ({"markup": "troff"}, "markup: .*'html' or 'markdown'"),
        ({"colour": "red"}, "colour: there is no such setting"),
        ({"patterns": ("no group",)}, "patterns: .*'no group'"),
        ({"patterns": ()}, "patterns: "),
        ({"slots": 0, "min_time": -1}, "slots: .*; min_time: "),
    ],
)
def test_a_bad_setting_is_named_in_one_line(given, said):
    with pytest.raises(SettingsInvalid, match=said) as caught:
        Settings(**given)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, LimnerError)


def test_settings_are_immutable_and_have_defaults_that_work():
    settings = Settings()
    assert settings.lane.max_concurrent == settings.slots == 3
    assert (settings.deadline, settings.idle_timeout) == (300, None)
    assert (settings.generation_timeout, settings.grace) == (120, 5)
    with pytest.raises(ValueError, match="frozen"):
        settings.slots = 4


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        (Settings, {"slotz": 3}, "slotz: there is no such setting; did you mean slots?"),
        (Settings, {"Slots": 3}, "Slots: there is no such setting; did you mean slots?"),
        (Settings, {"xyz": 3}, "xyz: there is no such setting"),
        (LaneSettings, {"leese": 3}, "leese: there is no such setting; did you mean lease?"),
        (Settings, {"lanes": {"a": {"lese": 3}}},
         "lanes.a: lese: there is no such setting; did you mean lease?"),
    ],
)  # fmt: skip
def test_an_unknown_setting_is_told_with_the_nearest_name(model, given, said):
    with pytest.raises(SettingsInvalid) as caught:
        model(**given)
    assert str(caught.value) == said


@pytest.mark.parametrize("model", [Settings, LaneSettings])
def test_settings_by_position_are_refused_in_one_line(model):
    with pytest.raises(SettingsInvalid, match="given by name"):
        model({"slots": 3})
