"""Loading settings: arguments, the environment, a file, the user's own file, the defaults.

For commands only. A host that embeds Limner makes its `Settings` itself, and no file or
environment variable changes them.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from os import environ
from pathlib import Path
from typing import Any

from pydantic import create_model
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings.exceptions import SettingsError

from limner.actors.generators.opening import runs_code
from limner.messages.configuration import MAX_BYTES, parse_json, parse_toml
from limner.messages.errors import SettingsInvalid
from limner.messages.generator_settings import GeneratorSettings
from limner.messages.settings import Settings
from limner.messages.text.tolerant import PATTERN_SETS
from limner.messages.unicode import shown
from limner.messages.validation import nearest

logger = logging.getLogger("limner.settings")

PREFIX = "LIMNER_"
"""What the name of each environment variable begins with."""

CONFIG = "LIMNER_CONFIG"
"""The environment variable that names a file of settings."""

DEFAULT_FILE = Path("limner.toml")
"""The file that is read if none is named, and if it is there."""

USER_FILE = Path("limner") / "config.toml"
"""The user's own file of settings, within the folder of configuration."""

PARSED = {
    "patterns": "a JSON list of texts, nor one of " + ", ".join(PATTERN_SETS),
    "ignore": "a JSON list of texts",
    "lanes": "a JSON object of lanes",
    "lane_groups": "a JSON object of lane groups",
    "generators": "a JSON object of generators",
}
"""What the environment gives as JSON."""

_fields: dict[str, Any] = {
    name: (field.annotation, field) for name, field in Settings.model_fields.items()
}
_Sources: type[BaseSettings] = create_model("_Sources", __base__=BaseSettings, **_fields)


@dataclass(frozen=True)
class Source:
    """A place that settings come from.

    Args:
        values: by the names of fields.
        folder: where commands run, and modules are looked for, that it names; `None` if nowhere.
        file: what an error names it by; `None` for arguments and for the environment.
        environment: whether it is the environment.
        chosen: whether the user chose it. What lies in the working folder may be anybody's.
    """

    values: dict[str, Any]
    folder: Path | None = None
    file: Path | None = None
    environment: bool = False
    chosen: bool = True

    def named(self, name: str) -> str:
        """Return where one setting is from, as an error says it."""
        if self.environment:
            return f" (from the environment variable {PREFIX}{name.upper()})"
        return "" if self.file is None else f" (from {str(self.file)!r})"


def load_settings(config: Path | str | None = None, **overrides: Any) -> Settings:
    """Return the settings that hold here, each from the first place that has it.

    These are: the arguments; the environment, as `LIMNER_SLOTS=2`; a TOML file, as `slots = 2`; and
    the user's own file, `limner/config.toml` in `XDG_CONFIG_HOME` or `~/.config`. A list, such as
    `LIMNER_PATTERNS`, is given to the environment as JSON; a variable that is empty counts as not
    set. Paths are relative to the working folder.

    What runs code is taken from arguments, the environment, a file that was named, and the user's
    own file: `generator` as `module:callable` or `exec:COMMAND`, and the tables of `generators`.
    The `limner.toml` of the working folder, which may have come with somebody's texts, may only
    choose a generator among those. Commands of a file run in its folder, and modules are looked
    for there last; those of an argument, in the working folder.

    Args:
        config: the file. By default the one that `LIMNER_CONFIG` names, or else `limner.toml` in
            the working folder if there is one.
        overrides: fields of `Settings`.

    Raises:
        SettingsInvalid: if a file that was named cannot be read, a value that holds is out of its
            bounds, or the `limner.toml` of the working folder would run code; in one line, which
            names the variable or the file it came from.

    A variable `LIMNER_…` that is no setting is told as a warning to `logging`, with the nearest.
    """
    _tell_unknown_variables()
    sources = [
        Source(overrides, folder=Path.cwd()),
        Source(_environment(), environment=True),
        *_files(config),
    ]
    generators = _generators(sources)
    values: dict[str, Any] = {"generators": generators} if generators else {}
    for source in sources:
        for name, value in sorted(source.values.items(), key=_groups_last):
            if name in values or name == "generators":
                continue
            beside = {}
            if name == "lane_groups" and "lanes" in values:
                beside = {"lanes": values["lanes"]}
            try:
                Settings(**{name: value}, **beside)
            except SettingsInvalid as error:
                raise SettingsInvalid(f"{error}{source.named(name)}") from error
            values[name] = value
            if name == "generator":
                _choose_generator(value, source, values, generators)
    return Settings(**values)


def _generators(sources: list[Source]) -> dict[str, GeneratorSettings]:
    """Return the generators that have a name, each from the first place that has it."""
    found: dict[str, GeneratorSettings] = {}
    for source in sources:
        if "generators" not in source.values:
            continue
        if not source.chosen:
            raise _not_from_here(source, "what generators there are")
        given = source.values["generators"]
        try:
            tables = Settings(generators=given).generators
        except SettingsInvalid as error:
            raise SettingsInvalid(f"{error}{source.named('generators')}") from error
        for name, table in tables.items():
            folder = table.folder
            if source.folder is not None:
                folder = source.folder / (folder or "")
            found.setdefault(name, table.but(folder=folder))
    return found


def _choose_generator(
    value: str,
    source: Source,
    values: dict[str, Any],
    generators: dict[str, GeneratorSettings],
) -> None:
    """Check that a place may name a generator; let a command of it run in its folder."""
    if value in generators or not runs_code(value):
        return
    if not source.chosen:
        raise _not_from_here(source, "a command or a module to run as the generator")
    if source.folder is not None:
        name = "command-line" if source.file is None else "config"
        table = GeneratorSettings(use=value, folder=source.folder)
        values["generators"] = {**generators, name: table}
        values["generator"] = name


def _not_from_here(source: Source, what: str) -> SettingsInvalid:
    own = _user_file()
    return SettingsInvalid(
        f"{str(source.file)!r} lies in the working folder, so it may not say {what}, only choose a"
        f" generator that you have configured: say it in {str(own or 'a file of your own')!r}, or"
        f" trust the file by naming it, as in --config {source.file}"
    )


def _groups_last(setting: tuple[str, Any]) -> bool:
    """Order settings so that a lane group comes after the lanes that it may stand behind."""
    return setting[0] == "lane_groups"


def _tell_unknown_variables() -> None:
    """Log a warning for each variable that would be a setting if there were one of its name."""
    known = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    for name in sorted(environ):
        given = name.upper()
        if given.startswith(PREFIX) and given != CONFIG and given not in known:
            meant = nearest(given.removeprefix(PREFIX), Settings.model_fields)
            question = f"; did you mean {PREFIX}{meant.upper()}?" if meant else ""
            logger.warning(
                "the environment variable %s is no setting, and is ignored%s",
                shown(name, 100),
                question,
            )


class _Environment(EnvSettingsSource):
    """The environment, in which lists and objects are JSON, and patterns may have a name."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return the value of a variable that is given as JSON.

        Raises:
            SettingsInvalid: which Pydantic takes for a `ValueError`, and names the field beside it.
        """
        del field
        if field_name == "patterns" and value.strip() in PATTERN_SETS:
            return value.strip()
        if field_name == "ignore" and not value.lstrip().startswith("["):
            return [name.strip() for name in value.split(",")]
        try:
            return parse_json(value)
        except SettingsInvalid as error:
            wanted = PARSED.get(field_name, "JSON")
            raise SettingsInvalid(
                f"{field_name}: not {wanted}, {error} "
                f"(from the environment variable {PREFIX}{field_name.upper()}, {value[:80]!r})"
            ) from None


def _environment() -> dict[str, Any]:
    try:
        return _Environment(_Sources, env_prefix=PREFIX, env_ignore_empty=True)()
    except SettingsError as error:
        if isinstance(error.__cause__, SettingsInvalid):
            raise error.__cause__ from None
        raise SettingsInvalid(
            f"settings: {shown(str(error), 300)} (from the environment)"
        ) from None


def _files(config: Path | str | None) -> Iterator[Source]:
    """Yield the file that was named, or else that of the working folder; then the user's own."""
    named = environ.get(CONFIG)
    if config is not None:
        yield _from_file(Path(config))
    elif named:
        yield _from_file(Path(named), f" (named by the environment variable {CONFIG})")
    elif DEFAULT_FILE.is_file():
        yield replace(_from_file(DEFAULT_FILE), chosen=False)
    own = _user_file()
    if own is not None and _may_be_read(own):
        yield _from_file(own)


def _from_file(file: Path, named_by: str = "") -> Source:
    return Source(_read(file, named_by), folder=file.absolute().parent, file=file)


def _may_be_read(file: Path) -> bool:
    """Return whether a file is there, in a home that may be read."""
    try:
        return file.is_file()
    except OSError:  # as of a service that runs with another user's HOME
        return False


def _user_file() -> Path | None:
    """Return where the user's own file of settings may be, after the XDG base directories."""
    given = Path(environ.get("XDG_CONFIG_HOME") or "")
    try:
        folder = given if given.is_absolute() else Path.home() / ".config"
    except RuntimeError:  # there is no home
        return None
    return folder / USER_FILE


def _read(file: Path, named_by: str) -> dict[str, Any]:
    try:
        if not file.is_file():
            reason = "it is no file" if file.exists() else "there is no such file"
        else:
            with file.open("rb") as opened:
                return parse_toml(opened.read(MAX_BYTES + 1))
    except SettingsInvalid as error:
        reason = str(error)
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error)
    raise SettingsInvalid(f"settings file {str(file)!r}{named_by} cannot be read: {reason}")
