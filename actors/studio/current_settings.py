"""The settings of a studio as they are in force, and the call that changes them."""

from __future__ import annotations

from typing import Unpack

from limner.actors.studio.client import SequencerClient
from limner.messages.live_settings import LiveSettings, updated_settings
from limner.messages.settings import Settings
from limner.messages.studio.protocol import UpdateSettings


class CurrentSettings:
    """The settings in force, as one value, which any thread may read.

    Args:
        settings: those that the studio was opened with.
        client: tells the sequencer.

    Attributes:
        now: the value. Who needs more than one setting reads it once.
    """

    def __init__(self, settings: Settings, client: SequencerClient) -> None:
        self.now = settings
        self._client = client
        self._changing = client.system.lock()

    def update_settings(self, **changes: Unpack[LiveSettings]) -> Settings:
        """Change settings while the studio is open.

        What is asked for once this has returned, by any thread, has the new ones. Sessions that
        were opened before, also those that wait for their message, keep the ones that they were
        opened with, all of them; so does a gathering session that further requests join.

        Args:
            changes: the new values, named and bounded as in `Settings`. What is read once as the
                studio opens cannot change: `store`, `pictures`, `pictures_url`, `generator`,
                `generators`, `events` and `grace`; lanes have `studio.limiter.update`.

        Returns:
            The settings in force now.

        Raises:
            SettingsInvalid: if a value is out of its bounds, or a name is none of those; then
                none is changed.
            StudioClosed: if the studio is closed.
        """
        with self._changing:
            settings = updated_settings(self.now, dict(changes))  # which compiles patterns
            self._client.send(UpdateSettings(settings=settings))
            self.now = settings
        return settings
