"""The files that settings come from: read again before each attempt to connect, and looked at in between.

A secret that was rotated is there from one moment to the next (Kubernetes exchanges a link, a Vault agent
renames a file), and no schedule knows when. In the agent's loop; what may hang is in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from z4j_probes import Settings
from z4j_probes.file_stamp import FileStamp, stamps_of
from z4j_probes.threads import in_daemon_thread

# How long an attempt to connect waits for files that hold secrets before it goes on with what it has.
REREAD_S = 5.0
# How often they are looked at while the agent waits for its next attempt. Each change doubles that: where
# something writes such a file all the time, the brain must not be asked all the time.
LOOK_EVERY_S = 2.0
LOOK_AT_LEAST_EVERY_S = 60.0


class SettingsFiles:
    """Those of one agent. `read` says which version of each was read last, by the setting's name."""

    def __init__(self) -> None:
        self.read: Mapping[str, FileStamp] = {}
        self._noticed: Mapping[str, FileStamp] = {}
        self._look: asyncio.Task[dict[str, FileStamp]] | None = None
        self._every_s = LOOK_EVERY_S

    async def reread(self, settings: Settings) -> Settings:
        """The settings as the files have them now. TimeoutError where one does not answer within REREAD_S."""
        if not settings.all_files:
            return settings

        def read() -> tuple[dict[str, FileStamp], Settings]:
            stamps = stamps_of(settings.all_files)  # first: what changes meanwhile is noticed later
            return stamps, settings.reread()

        async with asyncio.timeout(REREAD_S):
            stamps, settings = await in_daemon_thread(read)
        # of a file that is away for the moment, the value that was read before is the one in use
        self.read = self._noticed = {**self.read, **stamps}
        return settings

    async def sleep(self, settings: Settings, seconds: float) -> bool:
        """Sleep that long; True at once where a file has changed, or has come, since it was read."""
        deadline_s = asyncio.get_running_loop().time() + seconds
        while (left_s := deadline_s - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left_s, self._every_s))
            if settings.all_files and await self._have_changed(settings):
                self._every_s = min(2 * self._every_s, LOOK_AT_LEAST_EVERY_S)
                return True
        self._every_s = LOOK_EVERY_S
        return False

    async def _have_changed(self, settings: Settings) -> bool:
        if self._look is None:  # one at a time: a mount that is gone holds a thread for good
            files = settings.all_files
            self._look = asyncio.create_task(in_daemon_thread(lambda: stamps_of(files)), name="z4j files")
        done, _ = await asyncio.wait({self._look}, timeout=LOOK_EVERY_S)
        if not done:
            return False
        look, self._look = self._look, None
        if look.exception() is not None:  # no more threads
            return False
        stamps = {**self._noticed, **look.result()}
        has_changed, self._noticed = stamps != self._noticed, stamps
        return has_changed
