"""The exceptions that callers see, placed by what they can do about them.

Z4JError
├── ProtocolError        the peer broke the wire protocol: end the session
│   └── FrameRejected    one frame failed its signature, clock or replay check
├── StorageError         the state directory or a file in it can't be used: see the `buffer` probe
└── RegistryError        a probe is registered twice, or needs one that is not there: fix the code
"""


class Z4JError(Exception):
    """The root of every exception that this project raises on purpose."""


class ProtocolError(Z4JError):
    """The peer sent something that the wire protocol, version 2, does not allow."""


class FrameRejected(ProtocolError):
    """A signed frame failed verification; `reason` is a short stable word.

    Reasons: `unsigned`, `signature`, `clock`, `sequence`, `nonce`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StorageError(Z4JError):
    """A state directory or a file in it can't be used; `code` is the catalogue's name for why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RegistryError(Z4JError):
    """A probe can't be registered: its name is taken, or it needs a probe that is not there."""
