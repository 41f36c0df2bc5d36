"""The demo: one story, drawn slowly enough to be watched, into files that are named at the end."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

from limner.actors import Settings
from limner.actors.stores import FileStore, PictureFiles
from limner.messages.errors import LimnerError
from limner.messages.pictures import Illustrated
from limner.messages.unicode import shown
from limner.scripts.demonstration.show import Show, open_show
from limner.scripts.demonstration.slow_sketch import SlowSketch
from limner.scripts.display import tell
from limner.scripts.html_page import page_path
from limner.scripts.illustrate import Illustration, run, write_html
from limner.scripts.paths import Paths
from limner.scripts.reading import open_source
from limner.scripts.report import (
    DONE,
    FAILED,
    INCOMPLETE,
    INTERRUPTED,
    MISUSED,
    is_incomplete,
    name_troubles,
    report_error,
)
from limner.scripts.signals import handling_signals

RATE = 90
"""Characters a second: a reader's pace, made brisk."""

SLOTS = 2
"""Pictures drawn at one time; fewer than the story asks for in places, so that some wait."""

EVENTS = "events.jsonl"


def demonstrate(story: Path, out: Path, *, fast: bool) -> int:
    """Illustrate the story into a folder, and show how.

    Args:
        story: a Markdown file.
        out: where all goes; what an earlier demo has left there is taken out first.
        fast: whether nothing is paced, and no sketch takes longer than it must.

    Returns:
        The exit status, as of `limner illustrate`.
    """
    paths = Paths(
        output=out / story.name,
        pictures=out / "pictures",
        pictures_url="pictures",
        markup="markdown",
    )
    show = open_show(SLOTS)
    began = time.monotonic()
    try:
        clear(paths)
        settings = Settings(slots=SLOTS, events=out / EVENTS, markup="markdown")
        generator = None if fast else SlowSketch()
        illustration = Illustration(open_source(str(story)), show, generator=generator)
        store = FileStore(out, PictureFiles(paths.pictures, paths.pictures_url))
        show.note(f"limner: illustrating {story.name}, drawn by the built-in sketch generator")
        show.note("")
        with handling_signals(illustration.interrupt):
            rate = None if fast else RATE
            result = run(illustration, settings, store, paths, None, rate)
        interrupted = illustration.interrupts > 0
        return conclude(
            result, paths, settings, show, seconds=time.monotonic() - began, interrupted=interrupted
        )
    except LimnerError as error:
        return report_error(error, show)
    except OSError as error:
        show.error(shown(str(error), 300))
        return FAILED


def clear(paths: Paths) -> None:
    """Make the folder, and take out what an earlier demo has left there, and nothing else.

    Raises:
        OSError: if that cannot be done.
    """
    assert paths.output is not None
    out = paths.output.parent
    paths.pictures.mkdir(parents=True, exist_ok=True)
    own = [paths.output, page_path(paths.output), out / EVENTS, *out.glob(".limner*")]
    for file in [*own, *paths.pictures.glob("*.png")]:
        if not file.is_dir():
            file.unlink(missing_ok=True)


def conclude(
    result: Illustrated,
    paths: Paths,
    settings: Settings,
    show: Show,
    *,
    seconds: float,
    interrupted: bool,
) -> int:
    """Write the page, print what was seen and where it is, and return the exit status."""
    assert paths.output is not None
    if not result.written:
        show.error(f"nothing was written: {shown(str(result.reason), 300)}")
        return FAILED
    page = page_path(paths.output)
    write_html(page, paths, settings, chat=False)
    for trouble in name_troubles(result, settings, failures=not show.names_failures):
        show.error(trouble)
    show.note("")
    for text in told(result, paths, page, show, seconds):
        show.note(text)
    if interrupted:
        return INTERRUPTED
    return INCOMPLETE if is_incomplete(result) else DONE


def told(
    result: Illustrated, paths: Paths, page: Path, show: Show, seconds: float
) -> Iterator[str]:
    """Yield what was seen, in a sentence, and where to look; the page last."""
    assert paths.output is not None
    number, watched = len(result.pictures), show.watched
    waited = f", while up to {watched.most_waiting} waited" if watched.most_waiting else ""
    yield (
        f"{number} picture{'' if number == 1 else 's'} in {seconds:.0f} s: "
        f"up to {watched.most_drawn} drawn at one time{waited}."
    )
    yield ""
    yield f"In {shown(str(paths.output.parent), 300)}:"
    for name, what in (
        (f"{paths.pictures.name}/", "the pictures, each with its prompt in its metadata"),
        (EVENTS, "each step that was taken; `limner inspect` reads it"),
        (paths.output.name, "the story, each picture beside its prompt"),
        (page.name, "the same as one page that has all in it"),
    ):
        yield f"  {name:<17}{what}"
    yield ""
    yield f"Open in a browser: {shown(str(page), 500)}"


class Arguments(argparse.ArgumentParser):
    """Tells a wrong use in one line."""

    def error(self, message: str) -> NoReturn:
        """Print it, and leave."""
        tell(f"limner: {shown(message, 300)}; ./scripts/demo --help names what there is")
        sys.exit(MISUSED)


def parse(arguments: Sequence[str]) -> Any:
    """Return the arguments that were given."""
    parser = Arguments(
        prog="./scripts/demo",
        usage="./scripts/demo [--fast]",
        description="Illustrates a short story into out/ at a reader's pace, in a minute.",
        allow_abbrev=False,
    )
    parser.add_argument("story", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("out", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fast", action="store_true", help="no pace, and nothing drawn slowly")
    return parser.parse_args(arguments)


def main() -> None:
    """Run the demo with the arguments of the process, and leave with its exit status."""
    if isinstance(sys.stdout, TextIOWrapper):  # whose encoding may know few letters
        sys.stdout.reconfigure(errors="replace")
    given = parse(sys.argv[1:])
    sys.exit(demonstrate(given.story, given.out, fast=given.fast))


if __name__ == "__main__":
    main()
