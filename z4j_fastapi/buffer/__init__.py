"""The buffer: what the agent has to tell the brain, kept until the brain has acknowledged it.

`event_buffer` is what an agent uses, and `open` finds where the settings say that it lives. Behind it is an
`event_store`: events arrive in an `intake` and are written to a `journal` first; the `tail` knows those that
are in no database yet. What waits longer is moved by a `mover` to the `database`, whose file is an
`event_log`; a `recovery` sees to disks that fail and files that are lost (`disk_fault` says what is wrong).
The `housekeeper` is the thread that does so, and `wakeup` wakes it. `transfer` takes events from one store to
another.

`claims` knows what is on its way, `aside` keeps what no brain takes, `slots` knows which file is whose, and
`forks` what happens when the process forks; `store_locks` has what it holds meanwhile.
"""

from z4j_fastapi.buffer.aside import AsideEvent, SetAside
from z4j_fastapi.buffer.claims import Batch
from z4j_fastapi.buffer.event_buffer import EventBuffer

__all__ = ["AsideEvent", "Batch", "EventBuffer", "SetAside"]
