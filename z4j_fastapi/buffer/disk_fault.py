"""DiskFault: what is wrong with a store's disk at the moment, told once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from z4j_probes.storage import classify
from z4j_probes.storage.faults import CORRUPT

# Told what has happened to the disk: a `buffer` code and a sentence. With an empty code all is well again.
Tell = Callable[[str, str], None]


class DiskFault:
    """`is_on_disk` says whether events are still written to a file. `tell` is called by any thread."""

    def __init__(self, is_on_disk: Callable[[], bool]) -> None:
        self._is_on_disk = is_on_disk
        self.code = ""
        """A `buffer` code, empty while nothing is wrong."""
        self.tell: Tell = lambda code, said: None

    def occurred(self, exc: sqlite3.Error | OSError) -> None:
        """The disk has failed, and is to be tried again. Of a corrupt file, what replaces it tells more."""
        before, self.code = self.code, classify(exc)
        if self.code not in (before, CORRUPT):
            where = "in the journal" if self._is_on_disk() else "only in memory"
            self.tell(self.code, f"{exc}: events are kept {where} until that ends")

    def ended(self, said: str) -> None:
        """All is well again."""
        self.code = ""
        self.tell("", said)
