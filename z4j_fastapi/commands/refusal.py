"""How an engine answers where it did not do what it was asked for (see `engine`), and the agent as well.

Apart from `engine`, which an agent without a worker does not load.
"""

from __future__ import annotations


class Refused(Exception):
    """Nothing was done. `code` is one of the catalogue's `command.*`.

    The message is a cause in one clause. `remedy` is what to do, in one sentence without its period; None
    where the catalogue's fits, empty where the message says it.
    """

    def __init__(self, code: str, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.remedy = remedy


class Failed(Exception):
    """It was tried and certainly did not happen: the arguments can't be serialized, the broker said no."""


class InvalidCursor(Refused):
    """A cursor that this engine did not give."""

    def __init__(self) -> None:
        # a brain that finds these words answers its client 422, and 502 otherwise
        super().__init__("command.unsupported", "invalid dead-letter cursor", "Load the list again")
