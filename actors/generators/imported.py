"""A generator that is named by the module it is in, as `package.module:callable`."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from limner.messages.errors import SettingsInvalid, describe

FORM = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
"""What `module:callable` looks like."""


def import_generator(name: str, folder: Path | None = None) -> Any:
    """Import a module, and return what stands in it under a name; an object of it, if a class.

    Args:
        name: `package.module:callable`, or `package.module:Class`, which is called without
            arguments.
        folder: where the module is looked for if it is installed nowhere.

    Raises:
        SettingsInvalid: if the module cannot be imported, has no such name, or the class fails.
    """
    module, _, path = name.partition(":")
    if folder is not None and str(folder) not in sys.path:
        sys.path.append(str(folder))  # last, so that no file in it stands for an installed module
    try:
        found: Any = import_module(module)
    except (Exception, SystemExit) as error:
        raise SettingsInvalid(
            f"generator: module {module!r} cannot be imported: {describe(error, limit=300)}"
        ) from error
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise SettingsInvalid(f"generator: module {module!r} has no {path!r}") from None
    if not isinstance(found, type):
        return found
    try:
        return found()
    except Exception as error:
        raise SettingsInvalid(
            f"generator: {name!r} is a class, and calling it without arguments failed: "
            f"{describe(error, limit=300)}"
        ) from error
