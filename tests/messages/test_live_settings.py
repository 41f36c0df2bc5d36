"""Which settings may change while a studio is open, and what is said of the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.messages.errors import SettingsInvalid
from limner.messages.live_settings import LIVE, changed_settings, plain_values, updated_settings
from limner.messages.settings import Settings

FIXED = sorted(Settings.model_fields.keys() - LIVE)
OTHER = {
    "patterns": ["<draw (.*?)>"],
    "ignore": ["code"],
    "markup": "markdown",
    "image_attributes": {"width": "9"},
    "write_at_deadline": False,
    "idle_timeout": 9,
    "pattern_timeout": None,
    "pattern_budget": None,
    "reconcile_after": 9,
    "placeholders": True,
    "common_tags": "ink",
    "common_tags_position": "suffix",
    "max_text": 9_000,
    "max_tag": 90,
    "max_picture_bytes": 9_000,
}


@pytest.mark.parametrize("name", sorted(LIVE))
def test_each_live_setting_changes_alone(name):
    before = Settings(store="memory:")
    after = updated_settings(before, {name: OTHER.get(name, 9)})
    assert changed_settings(before, after) == (name,)
    assert after.store == "memory:"
    assert changed_settings(after, after) == ()


@pytest.mark.parametrize("name", FIXED)
def test_a_setting_that_cannot_change_is_refused_in_one_line_with_what_to_do(name):
    with pytest.raises(SettingsInvalid) as refused:
        updated_settings(Settings(), {name: "my secret", "deadline": 9})
    told = str(refused.value)
    assert told.startswith(f"{name}: ")
    assert "\n" not in told
    assert "my secret" not in told
    assert ("studio.limiter.update(" in told) != ("open another with Settings(" in told)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"deadline": -1}, "deadline: "),
        ({"patterns": ["("]}, "patterns: "),
        ({"deadlin": 5}, "deadlin: there is no such setting; did you mean deadline?"),
        ({"common_tags": 7}, "common_tags: "),
        ({"image_attributes": {"onclick": "x"}}, "image_attributes: "),
        ({"slots": 2, "store": "memory:"}, "slots, store: read once"),
    ],
)
def test_what_settings_refuse_is_refused_here_too(changes, told):
    with pytest.raises(SettingsInvalid) as refused:
        updated_settings(Settings(), changes)
    assert str(refused.value).startswith(told)


@given(st.dictionaries(st.sampled_from(sorted(LIVE)), st.just(None)), st.booleans())
def test_changes_are_those_of_settings_made_at_once(names, first):
    changes = {name: OTHER.get(name, 9) for name in names}
    before = Settings(patterns="tolerant", slots=2) if first else Settings()
    given = {"patterns": before.patterns, "slots": before.slots, **changes}
    assert updated_settings(before, changes) == Settings(**given)


def test_an_event_tells_no_text_that_somebody_wrote():
    values = plain_values(updated_settings(Settings(), OTHER), LIVE)
    assert values["max_text"] == 9_000
    assert values["markup"] == "markdown"
    assert values["pattern_budget"] is None
    assert not {"patterns", "common_tags", "image_attributes"} & values.keys()
