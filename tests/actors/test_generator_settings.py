"""What runs code is taken from whom the user trusts, and never from what lies about."""

from pathlib import Path

import pytest

from limner.actors.settings import load_settings
from limner.messages.errors import SettingsInvalid
from limner.messages.settings import Settings

RUNS = ["exec:true {output}", "os:system", "os.path:join"]
TABLE = "[generators.mine]\nuse = 'exec:draw {prompt} {output}'\n"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Return the user's own folder of configuration; change to an empty working folder."""
    for name in ["CONFIG", *(name.upper() for name in Settings.model_fields)]:
        monkeypatch.delenv(f"LIMNER_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "limner").mkdir()
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "limner"


def use(settings):
    table = settings.generators.get(settings.generator)
    return (settings.generator, None) if table is None else (table.use, table.folder)


@pytest.mark.parametrize("runs", RUNS)
def test_the_working_folder_may_not_say_what_runs(home, runs):
    Path("limner.toml").write_text(f"generator = '{runs}'")
    with pytest.raises(SettingsInvalid) as caught:
        load_settings()
    said = str(caught.value)
    assert "'limner.toml' lies in the working folder, so it may not say" in said
    assert str(home / "config.toml") in said
    assert "--config limner.toml" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "content",
    [
        TABLE,
        f"generator = 'mine'\n{TABLE}",
        "[generators]",
        "generators.sketch.use = 'instant'",
        "generators = 3",
    ],
)
def test_the_working_folder_may_not_say_what_generators_there_are(home, content):
    Path("limner.toml").write_text(content)
    (home / "config.toml").write_text(TABLE)
    with pytest.raises(SettingsInvalid, match="may not say what generators there are"):
        load_settings(generator="instant")


def test_the_working_folder_may_choose_what_is_configured(home):
    (home / "config.toml").write_text(f"generator = 'sketch'\nslots = 2\n{TABLE}")
    Path("limner.toml").write_text("generator = 'mine'\nmin_time = 1")
    settings = load_settings()
    assert use(settings) == ("exec:draw {prompt} {output}", home)
    assert (settings.slots, settings.min_time) == (2, 1)


def test_a_generator_that_something_stronger_replaces_is_no_error():
    Path("limner.toml").write_text("generator = 'exec:true {output}'")
    assert load_settings(generator="instant").generator == "instant"


@pytest.mark.parametrize("runs", RUNS)
def test_arguments_and_environment_may_say_what_runs(monkeypatch, runs):
    assert use(load_settings(generator=runs)) == (runs, Path.cwd())
    monkeypatch.setenv("LIMNER_GENERATOR", runs)
    assert use(load_settings()) == (runs, None)


@pytest.mark.parametrize("runs", RUNS)
def test_a_file_that_is_named_or_the_users_own_may_say_what_runs(monkeypatch, home, runs):
    own, named = home / "config.toml", home.parent / "other" / "named.toml"
    named.parent.mkdir()
    own.write_text(f"generator = '{runs}'")
    assert use(load_settings()) == (runs, home)
    named.write_text(f"generator = '{runs}'")
    assert use(load_settings(named)) == (runs, named.parent)
    monkeypatch.setenv("LIMNER_CONFIG", str(named))
    assert use(load_settings()) == (runs, named.parent)


def test_the_file_of_the_working_folder_is_trusted_once_it_is_named():
    Path("limner.toml").write_text(f"generator = 'mine'\n{TABLE}")
    assert use(load_settings("limner.toml")) == ("exec:draw {prompt} {output}", Path.cwd())


def test_the_tables_of_all_trusted_places_are_there_each_by_its_strongest(home, monkeypatch):
    (home / "config.toml").write_text(TABLE + "[generators.other]\nuse = 'instant'\nlane = 'b'")
    Path("named.toml").write_text("[generators.other]\nuse = 'sketch'\nfolder = 'sub'")
    monkeypatch.setenv("LIMNER_GENERATORS", '{"third": {"use": "instant"}}')
    tables = load_settings("named.toml").generators
    assert {name: table.use for name, table in tables.items()} == {
        "mine": "exec:draw {prompt} {output}",
        "other": "sketch",
        "third": "instant",
    }
    assert tables["other"].folder == Path.cwd() / "sub"
    assert tables["other"].lane is None


@pytest.mark.parametrize("folder", ["", "relative"])
def test_the_users_own_file_is_found_in_the_home(tmp_path, monkeypatch, folder):
    monkeypatch.setenv("XDG_CONFIG_HOME", folder)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    (tmp_path / "me/.config/limner").mkdir(parents=True)
    (tmp_path / "me/.config/limner/config.toml").write_text("slots = 7")
    assert load_settings().slots == 7


def test_a_broken_file_of_the_user_is_told_by_its_path(home):
    (home / "config.toml").write_text("slots = 0")
    with pytest.raises(SettingsInvalid, match=r"slots: .*limner/config\.toml"):
        load_settings()
    (home / "config.toml").write_text("[generators.mine]\nusing = 'x'")
    with pytest.raises(SettingsInvalid, match=r"using.* no such setting.*limner/config\.toml"):
        load_settings()
