"""Loading settings: arguments, then the environment, then a file, then the defaults.

For commands only. A host that embeds Limner makes its `Settings` itself, and no file or
environment variable changes them.
"""

import logging
from collections.abc import Iterator
from os import environ
from pathlib import Path
from typing import Any

from pydantic import create_model
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource
from pydantic_settings.exceptions import SettingsError

from limner.messages.configuration import MAX_BYTES, parse_json, parse_toml
from limner.messages.errors import SettingsInvalid
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

PARSED = {
    "patterns": "a JSON list of texts, nor one of " + ", ".join(PATTERN_SETS),
    "lanes": "a JSON object of lanes",
    "lane_groups": "a JSON object of lane groups",
}
"""What the environment gives as JSON."""

_fields: dict[str, Any] = {
    name: (field.annotation, field) for name, field in Settings.model_fields.items()
}
_Sources: type[BaseSettings] = create_model("_Sources", __base__=BaseSettings, **_fields)


def load_settings(config: Path | str | None = None, **overrides: Any) -> Settings:
    """Return the settings that hold here, each from the first place that has it.

    These are: the arguments; the environment, as `LIMNER_SLOTS=2`; and a TOML file, as
    `slots = 2`. A list, such as `LIMNER_PATTERNS`, is given to the environment as JSON; a
    variable that is empty counts as not set. Paths are relative to the working folder.

    Args:
        config: the file. By default the one that `LIMNER_CONFIG` names, or else `limner.toml` in
            the working folder if there is one.
        overrides: fields of `Settings`.

    Raises:
        SettingsInvalid: if a file that was named cannot be read, or a value that holds is out
            of its bounds; in one line, which names the variable or the file it came from.

    A variable `LIMNER_…` that is no setting is told as a warning to `logging`, with the nearest.
    """
    _tell_unknown_variables()
    values: dict[str, Any] = {}
    for name, value, where in _found(config, overrides):
        if name in values:
            continue
        beside = {"lanes": values["lanes"]} if name == "lane_groups" and "lanes" in values else {}
        try:
            Settings(**{name: value}, **beside)
        except SettingsInvalid as error:
            raise SettingsInvalid(f"{error}{where and f' (from {where})'}") from error
        values[name] = value
    return Settings(**values)


def _found(config: Path | str | None, overrides: dict[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Yield each value that is set, the strongest first, with the place that it is from."""
    for name, value in overrides.items():
        yield name, value, ""
    for name, value in sorted(_environment().items(), key=_groups_last):
        yield name, value, f"the environment variable {PREFIX}{name.upper()}"
    file, named_by = _file(config)
    if file is not None:
        for name, value in sorted(_read(file, named_by).items(), key=_groups_last):
            yield name, value, repr(str(file))


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


def _file(config: Path | str | None) -> tuple[Path | None, str]:
    """Return the file to read, and who named it."""
    if config is not None:
        return Path(config), ""
    if named := environ.get(CONFIG):
        return Path(named), f" (named by the environment variable {CONFIG})"
    return (DEFAULT_FILE if DEFAULT_FILE.is_file() else None), ""


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
