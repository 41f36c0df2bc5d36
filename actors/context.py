"""What the actors of one studio share."""

from __future__ import annotations

from dataclasses import dataclass

from limner.actors.event_log import EventLog
from limner.actors.picture_maker import PictureMaker
from limner.actors.stores.protocol import Store
from limner.messages.settings import Settings


@dataclass(frozen=True, slots=True)
class StudioContext:
    """What the actors of one studio share.

    Args:
        log: where they tell what happened.
        settings: of the studio.
        store: where texts live.
        maker: makes pictures, and keeps them.
        store_pool: name of the threads for sessions' calls of the store; `None` if it never blocks.
        edit_pool: name of the threads for edits by Limner's own functions.
        host_function_pool: name of the threads for edits by hosts' functions, which may block.
    """

    log: EventLog
    settings: Settings
    store: Store
    maker: PictureMaker
    store_pool: str | None
    edit_pool: str
    host_function_pool: str
