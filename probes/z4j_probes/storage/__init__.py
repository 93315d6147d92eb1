"""The state directory: choosing it, moving it, and what is kept in it.

All of it is synchronous and standard library only; asynchronous callers run it in a thread.
`directory` chooses, `database` opens SQLite files, `faults` names what went wrong, `names` derives
the stable names, `hello` remembers what the agent on this machine said last. `status_files` says what each
agent process does now, and is loaded only where that is asked for.
"""

from __future__ import annotations

from z4j_probes.storage.database import damaged, free_space, open_database, proof
from z4j_probes.storage.directory import (
    StateDirectory,
    choose,
    is_private,
    private_directory,
    relocated,
    requested_directory,
)
from z4j_probes.storage.faults import classify, storage_error
from z4j_probes.storage.hello import LastHello, recall_hello, remember_hello
from z4j_probes.storage.names import fingerprint, identity

__all__ = [
    "LastHello",
    "StateDirectory",
    "choose",
    "classify",
    "damaged",
    "fingerprint",
    "free_space",
    "identity",
    "is_private",
    "open_database",
    "private_directory",
    "proof",
    "recall_hello",
    "relocated",
    "remember_hello",
    "requested_directory",
    "storage_error",
]
