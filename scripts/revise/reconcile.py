"""`limner reconcile`: what another program has stripped from a file is put back."""

from pathlib import Path
from typing import Any

import pykka

from limner.actors import Studio
from limner.actors.settings import load_settings
from limner.messages.errors import LimnerError, UnknownMessage
from limner.messages.pictures import Illustrated
from limner.messages.text.reconcile import reconcile as reconciled
from limner.messages.unicode import shown
from limner.scripts.display import Display, Lines
from limner.scripts.paths import places_of
from limner.scripts.report import (
    DONE,
    INCOMPLETE,
    INTERRUPTED,
    few,
    give_up,
    outcome_of,
    tell_changed,
)
from limner.scripts.revise.diff import show_diff
from limner.scripts.revise.document import Document, check_file, is_chat, opened
from limner.scripts.signals import Step, interrupted_between_steps


def reconcile(
    file: str,
    *,
    dry_run: bool = False,
    quiet: bool = False,
    config: Path | None = None,
    **given: Any,
) -> int:
    """Put back what another program has stripped from a file.

    Args:
        file: a text or a chat.
        dry_run: whether it is only shown what would change.
        quiet: whether to show errors only.
        config: a file of settings.
        given: fields of `Settings`.

    Returns:
        The exit status: 0 all stands where it should, 1 failed, 2 wrong use or input, 3 some
        pictures could not be put back, 130 interrupted.
    """
    display = Display() if quiet else Lines()
    asked: list[pykka.Future[Illustrated]] = []
    results: list[Illustrated] = []
    try:
        settings = load_settings(config, **given)
        check_file(file)
        places = places_of(file, None, settings, writes=not dry_run)
        with (
            interrupted_between_steps() as step,
            opened(places, settings, chat=is_chat(file)) as document,
        ):
            known = document.illustrated()
            if dry_run or not known:
                for one in known:
                    step()
                    results.append(rehearsed(document, one))
            else:
                with Studio.open(
                    document.settings, store=document.store, generator="instant"
                ) as studio:
                    for one in known:
                        asked.append(studio.reconcile(one))
                        results.append(outcome(document, asked[-1], one, step))
    except LimnerError as error:
        return give_up(error, display)
    except KeyboardInterrupt:
        tell_changed(file, asked, display)
        return INTERRUPTED
    back = [one for result in results for one in result.pictures]
    lost = [one for result in results for one in result.unplaced]
    for line in few([f"back    {one.id}  {shown(one.prompt)}" for one in back]):
        display.say(line)
    for line in few(
        [
            f"not put back: {one.placement.id}, of {shown(one.placement.prompt)!r}: {one.reason}"
            for one in lost
        ]
    ):
        display.complain(line)
    name, number = shown(document.name, 300), len(back)
    noun = "picture" if number == 1 else "pictures"
    if not number:
        hint = "" if known else document.hint
        display.say(f"nothing {'could' if lost else 'is to'} be put back in {name}{hint}")
    elif not dry_run:
        display.say(f"written {name}, {number} {noun} put back")
    return INCOMPLETE if lost else DONE


def outcome(
    document: Document, asked: pykka.Future[Illustrated], message_id: str, step: Step
) -> Illustrated:
    """Wait until what is missing in one message is put back."""
    try:
        return outcome_of(asked, step).but(text="")
    except UnknownMessage:  # it is a user's by now
        return looked_into(document, message_id, None)


def rehearsed(document: Document, message_id: str) -> Illustrated:
    """Show what would change in one message."""
    try:
        loaded = document.store.load(message_id)
    except UnknownMessage:
        loaded = None
    return looked_into(document, message_id, loaded and loaded[0])


def looked_into(document: Document, message_id: str, text: str | None) -> Illustrated:
    """Say what is missing in a text, and show what would change in it."""
    composed = reconciled(
        text,
        document.store.registry(message_id),
        message_id=message_id,
        notation=document.settings.notation,
    )
    if text is not None:
        show_diff(shown(document.called(message_id), 300), text, composed.text)
    return Illustrated(
        message_id=message_id,
        text="",
        version=None,
        pictures=composed.placed,
        unplaced=composed.unplaced,
        written=False,
    )
