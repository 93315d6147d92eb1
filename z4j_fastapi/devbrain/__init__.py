"""A brain to develop and test against: the real protocol on a real loopback socket, in one process.

    async with DevBrain() as brain:
        credentials = brain.mint("web-1")
        os.environ.update(brain.environment(credentials))
        ...
        await brain.wait_for_events(3)

It keeps everything in memory and is no substitute for a brain: no dashboard, no users, no history. A
`Misbehaviour` makes it break the protocol on purpose, one way at a time.
"""

from z4j_fastapi.devbrain.accounts import Credentials
from z4j_fastapi.devbrain.misbehaviour import NEVER, Close, Misbehaviour
from z4j_fastapi.devbrain.observations import Command, Heartbeat, Observations
from z4j_fastapi.devbrain.serve import serve_forever
from z4j_fastapi.devbrain.server import DevBrain
from z4j_fastapi.devbrain.session import Limits

__all__ = [
    "NEVER",
    "Close",
    "Command",
    "Credentials",
    "DevBrain",
    "Heartbeat",
    "Limits",
    "Misbehaviour",
    "Observations",
    "serve_forever",
]
