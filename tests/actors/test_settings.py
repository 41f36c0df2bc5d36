"""Settings come from the strongest place that has them, and a bad one is told by that place."""

from pathlib import Path

import pytest

from limner.actors.settings import load_settings
from limner.messages.errors import SettingsInvalid
from limner.messages.settings import Settings
from limner.messages.text.patterns import DEFAULT_PATTERNS
from limner.messages.text.tolerant import TOLERANT_PATTERNS


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ["CONFIG", *(name.upper() for name in Settings.model_fields)]:
        monkeypatch.delenv(f"LIMNER_{name}", raising=False)


def test_without_any_source_the_defaults_hold() -> None:
    assert load_settings() == Settings()
    assert not load_settings().model_fields_set


def test_arguments_are_over_the_environment_which_is_over_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("limner.toml").write_text("slots = 4\nmin_time = 4\ngrace = 4\n")
    monkeypatch.setenv("LIMNER_SLOTS", "5")
    monkeypatch.setenv("LIMNER_MIN_TIME", "5")
    settings = load_settings(slots=6)
    assert (settings.slots, settings.min_time, settings.grace) == (6, 5, 4)


def test_a_file_that_is_named_is_read_in_place_of_the_one_in_the_working_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("limner.toml").write_text("slots = 4\n")
    Path("a.toml").write_text("slots = 5\n")
    Path("b.toml").write_text("slots = 6\n")
    monkeypatch.setenv("LIMNER_CONFIG", "a.toml")
    assert load_settings().slots == 5
    assert load_settings("b.toml").slots == 6


def test_a_list_in_the_environment_is_json_and_a_path_is_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIMNER_PATTERNS", '["<draw (.*?)>"]')
    monkeypatch.setenv("LIMNER_EVENTS", "log.jsonl")
    settings = load_settings()
    assert settings.patterns == ("<draw (.*?)>",)
    assert settings.events == Path("log.jsonl")


def test_the_environment_and_a_file_may_name_the_tolerant_patterns(monkeypatch):
    Path("limner.toml").write_text('patterns = ["tolerant", "<draw (.*?)>"]\n')
    assert load_settings().patterns == (*TOLERANT_PATTERNS, "<draw (.*?)>")
    Path("limner.toml").write_text('patterns = "tolerant"\n')
    assert load_settings().patterns == TOLERANT_PATTERNS
    monkeypatch.setenv("LIMNER_PATTERNS", " default ")
    assert load_settings().patterns == DEFAULT_PATTERNS
    monkeypatch.setenv("LIMNER_PATTERNS", '["tolerant"]')
    assert load_settings().patterns == TOLERANT_PATTERNS
    assert load_settings(patterns=("default",)).patterns == DEFAULT_PATTERNS


@pytest.mark.parametrize("given", ["code,think", " code, think ", '["code", "think"]'])
def test_the_environment_names_what_is_ignored(given, monkeypatch):
    monkeypatch.setenv("LIMNER_IGNORE", given)
    assert load_settings().ignore == ("code", "think")
    Path("limner.toml").write_text('ignore = ["think"]\n')
    monkeypatch.delenv("LIMNER_IGNORE")
    assert load_settings().ignore == ("think",)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_SLOTS", "")
    assert load_settings() == Settings()


def test_a_bad_value_that_something_stronger_replaces_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LIMNER_SLOTS", "many")
    assert load_settings(slots=2).slots == 2


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SLOTS", "0", "slots: input should be greater than or equal to 1, not '0'"),
        ("MARKUP", "latex", "markup: "),
        ("PATTERNS", "<draw", "patterns: not a JSON list of texts"),
        ("PATTERNS", '["<draw"]', "pattern '<draw' has no group"),
        ("PATTERNS", '["/<(a)>/g"]', "stands between slashes"),
        ("PATTERNS", "lenient", "patterns: not a JSON list of texts, nor one of default, tolerant"),
        ("IGNORE", "code,quotes", "ignore.1: input should be 'code' or 'think', not 'quotes'"),
        ("IGNORE", '["code"', "ignore: not a JSON list of texts"),
        ("MIN_TIME", "nan", "min_time: input should be a finite number"),
    ],
)
def test_a_bad_value_of_the_environment_is_told_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"LIMNER_{name}", value)
    with pytest.raises(SettingsInvalid) as caught:
        load_settings()
    assert told in str(caught.value)
    assert f"environment variable LIMNER_{name}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"slots = 0", "slots: input should be greater than or equal to 1, not 0"),
        (b"patterns = 'lenient'", "patterns: a list of regular expressions, or 'default' or"),
        (b"slot = 1", "slot: there is no such setting"),
        (b"slots =", "it is no TOML"),
        (b"slots = \xff", "it is no TOML"),
    ],
)
def test_a_bad_value_of_a_file_is_told_with_the_file(content: bytes, told: str) -> None:
    Path("mine.toml").write_bytes(content)
    with pytest.raises(SettingsInvalid) as caught:
        load_settings("mine.toml")
    assert told in str(caught.value)
    assert "'mine.toml'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsInvalid, match=r"'gone\.toml' cannot be read: there is no such"):
        load_settings("gone.toml")
    monkeypatch.setenv("LIMNER_CONFIG", "lost.toml")
    with pytest.raises(SettingsInvalid, match=r"named by the environment variable LIMNER_CONFIG"):
        load_settings()
    with pytest.raises(SettingsInvalid, match="no file"):
        load_settings(Path.cwd())


def test_a_bad_argument_is_told_by_its_name() -> None:
    with pytest.raises(SettingsInvalid, match=r"^slots: .* not 1001$"):
        load_settings(slots=1001)
    with pytest.raises(
        SettingsInvalid, match=r"^slotz: there is no such setting; did you mean slots\?$"
    ):
        load_settings(slotz=1)


def test_a_lane_group_may_stand_behind_a_lane_of_the_same_file_or_environment(
    tmp_path, monkeypatch
):
    file = tmp_path / "lanes.toml"
    file.write_text('[lane_groups.host]\nbehind = "model"\n[lanes.model]\nmax_concurrent = 8\n')
    settings = load_settings(file)
    assert settings.lane_groups["host"].behind == "model"
    assert settings.lanes["model"].max_concurrent == 8
    monkeypatch.setenv("LIMNER_LANES", '{"other": {}}')
    monkeypatch.setenv("LIMNER_LANE_GROUPS", '{"host": {"behind": "other"}}')
    assert load_settings().lane_groups["host"].behind == "other"


def test_what_is_no_json_is_named_by_its_variable(monkeypatch):
    monkeypatch.setenv("LIMNER_LANES", "nope")
    with pytest.raises(SettingsInvalid, match="lanes: not a JSON object of lanes, .*LIMNER_LANES"):
        load_settings()


def test_a_setting_of_the_lane_image_is_not_set_twice():
    with pytest.raises(SettingsInvalid, match="slots: the lane 'image' has settings of its own"):
        Settings(slots=5, lanes={"image": {"max_concurrent": 3}})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("LIMNER_SLOTZ", "; did you mean LIMNER_SLOTS?"),
        ("LIMNER_PICTURE_URL", "; did you mean LIMNER_PICTURES_URL?"),
        ("limner_genrator", "; did you mean LIMNER_GENERATOR?"),
        ("LIMNER_QWERTZUIOP", ""),
        ("LIMNER_\x1b[2J", ""),
    ],
)
def test_an_unknown_variable_is_told_with_the_nearest_name(monkeypatch, caplog, name, told):
    monkeypatch.setenv(name, "5")
    assert load_settings() == Settings()
    (record,) = caplog.records
    said = record.getMessage()
    assert said.startswith("the environment variable ")
    assert said.endswith(f"is no setting, and is ignored{told}")
    assert said.isprintable()


def test_variables_that_are_settings_are_not_told(monkeypatch, caplog):
    Path("a.toml").write_text("slots = 5\n")
    for name, value in {"CONFIG": "a.toml", "SLOTS": "2", "PICTURES_URL": "/p"}.items():
        monkeypatch.setenv(f"LIMNER_{name}", value)
    monkeypatch.setenv("OTHER_SLOTZ", "5")
    load_settings()
    assert not caplog.records


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATTERNS", "[" * 9000),
        ("LANES", '{"a":' * 9000),
        ("LANE_GROUPS", "[" * 90 + "]" * 90),
        ("SLOTS", "9" * 9000),
    ],
)
def test_a_nested_or_huge_variable_is_told_in_one_line(monkeypatch, name, value):
    monkeypatch.setenv(f"LIMNER_{name}", value)
    with pytest.raises(SettingsInvalid) as caught:
        load_settings()
    assert f"(from the environment variable LIMNER_{name}" in str(caught.value)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["lanes=" + "[" * 9000, "a." * 9000 + "a=1", "slots=" + "9" * 9000, "#" * 2_000_000]
)
def test_a_nested_or_huge_file_is_told_in_one_line(content):
    Path("limner.toml").write_text(content)
    with pytest.raises(SettingsInvalid, match=r"^settings file 'limner\.toml' cannot be read: "):
        load_settings()


def test_a_home_that_may_not_be_read_has_no_settings(monkeypatch):
    is_file = Path.is_file

    def refused(path):
        if path.name == "config.toml":
            raise PermissionError(13, "Permission denied")
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    assert load_settings() == Settings()
