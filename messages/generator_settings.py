"""The settings of a generator that has a name: a table `[generators.NAME]`."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from limner.messages.base import Value
from limner.messages.limiter.settings import LaneName

GeneratorName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class GeneratorSettings(Value):
    """What a name of a generator stands for.

    Such a table may run code. So `load_settings` takes it from a file that the user has named, or
    that lies in the user's own folder of configuration, and not from the working folder.
    """

    use: str = Field(default="sketch", min_length=1, max_length=10_000)
    """`sketch`, `instant`, `module:callable`, or `exec:COMMAND {prompt} {output}`."""

    lane: LaneName | None = None
    """The lane of its calls; its own, or `image`, by default."""

    folder: Path | None = None
    """The folder in which its command is run, and in which its module is looked for last. For what
    is read from a file, that file's folder by default."""
