"""`limner settings`: all settings of a studio, a lane and a generator, from their models."""

import ast
import inspect
import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel

from limner.messages.generator_settings import GeneratorSettings
from limner.messages.limiter.settings import LaneSettings
from limner.messages.settings import Settings
from limner.scripts.reference.printing import (
    DONE,
    MISUSED,
    paragraphs,
    print_json,
    print_text,
    unknown_names,
    wrapped,
)

MODELS: dict[str, type[BaseModel]] = {
    "studio": Settings,
    "lane": LaneSettings,
    "generator": GeneratorSettings,
}
TITLES = {
    "studio": "Settings of a studio: slots = 2 in limner.toml, LIMNER_SLOTS=2 in the environment",
    "lane": "Settings of a lane: max_concurrent = 2 under [lanes.NAME] or [lane_groups.NAME]",
    "generator": "Settings of a generator that has a name: use = 'instant' under [generators.NAME]",
}
BOUNDS = (
    *("minimum", "exclusiveMinimum", "maximum", "minLength", "maxLength"),
    *("minItems", "maxItems", "maxProperties", "pattern", "enum"),
)
"""What bounds a value, in the words of JSON Schema."""

UNITS = frozenset(["seconds", "characters", "bytes", "pixels"])


@dataclass(frozen=True)
class Setting:
    """One setting.

    Args:
        name: of the setting.
        of: `studio`, `lane` or `generator`.
        type: in JSON's words.
        unit: of a number; `None` if it is a plain count or no number.
        bounds: of a value, in the words of JSON Schema.
        default: as JSON has it.
        meaning: what its docstring says.
    """

    name: str
    of: str
    type: str
    unit: str | None
    bounds: dict[str, Any]
    default: Any
    meaning: str


def settings(names: Sequence[str] = (), *, as_json: bool = False) -> int:
    """Print settings.

    Args:
        names: of which settings; of all if none is named.
        as_json: whether to print JSON.

    Returns:
        The exit status: 0 done, 2 an unknown name.
    """
    found = [setting for of, model in MODELS.items() for setting in settings_of(of, model)]
    if unknown_names("setting", names, {setting.name for setting in found}):
        return MISUSED
    wanted = [setting for setting in found if not names or setting.name in names]
    if as_json:
        print_json({"settings": [asdict(setting) for setting in wanted]})
    else:
        print_text(as_lines(wanted))
    return DONE


def settings_of(of: str, model: type[BaseModel]) -> Iterator[Setting]:
    """Yield the settings of a model, in its order."""
    meanings = docstrings(model)
    schema = model.model_json_schema()
    for name, field in schema["properties"].items():
        kinds = list(kinds_of(field))
        meaning = meanings.get(name, "")
        kind = " or ".join(map(type_name, kinds))
        yield Setting(
            name=name,
            of=of,
            type=kind,
            unit=unit_of(name, kind, meaning),
            bounds={bound: one[bound] for one in kinds for bound in BOUNDS if bound in one},
            default=field.get("default", {} if "object" in kind else None),
            meaning=meaning,
        )


def docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings that stand below the fields of a class, by field.

    They are read from the source, as Python does not keep them; none without it.
    """
    try:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    except OSError:
        return {}
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = inspect.cleandoc(text)
    return found


def kinds_of(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the types of a JSON Schema, if it may be of several."""
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices is None:
        yield schema
    for choice in choices or ():
        yield from kinds_of(choice)


def type_name(schema: dict[str, Any]) -> str:
    """Return the type of a JSON Schema in a few words."""
    if "$ref" in schema:
        return "object"
    kind: str = schema["type"]
    if kind == "array":
        return f"array of {type_name(schema['items'])}"
    if kind == "object":
        values = schema.get("additionalProperties", {})
        if isinstance(values, dict) and "type" in values:
            return f"object of {type_name(values)}s by name"
        of = "generator" if "GeneratorSettings" in str(schema) else "lane"
        return f"object of {of} settings by name"
    return kind


def unit_of(name: str, kind: str, meaning: str) -> str | None:
    """Return the unit of a setting: each number that is no integer is of seconds.

    An integer has the unit that its name ends with or that its sentence begins with, if any.
    """
    if kind.startswith("number"):
        return "seconds"
    if kind.startswith("integer"):
        for word in (name.rpartition("_")[2], meaning.partition(" ")[0].lower()):
            if word in UNITS:
                return word
    return None


def as_lines(found: Iterable[Setting]) -> Iterator[str]:
    """Yield settings as lines of text."""
    of = None
    for setting in found:
        if setting.of != of:
            if of is not None:
                yield from ("", "")
            of = setting.of
            yield from wrapped(TITLES[of])
        yield ""
        unit = [] if setting.unit is None else [setting.unit]
        said = ", ".join([setting.type, *unit, *bounds(setting.bounds)])
        default = json.dumps(setting.default, ensure_ascii=False)
        yield from wrapped(f"{setting.name} ({said}; by default {default})")
        yield from paragraphs(setting.meaning)


def bounds(given: dict[str, Any]) -> Iterator[str]:
    """Yield what bounds a value, in words."""
    if "enum" in given:
        yield " or ".join(map(json.dumps, given["enum"]))
    if "exclusiveMinimum" in given:
        yield f"above {given['exclusiveMinimum']:,} up to {given['maximum']:,}"
    elif "minimum" in given:
        yield f"{given['minimum']:,} to {given['maximum']:,}"
    if "maxLength" in given:
        yield f"{given.get('minLength', 0):,} to {given['maxLength']:,} characters"
    if "maxItems" in given:
        yield f"{given.get('minItems', 0):,} to {given['maxItems']:,} items"
    if "maxProperties" in given:
        yield f"up to {given['maxProperties']:,} entries"
    if "pattern" in given:
        yield f"like {given['pattern']}"
