"""The buffer: what the agent has to tell the brain, kept until the brain has acknowledged it.

`event_buffer` is what an agent uses. Behind it, `event_store` puts a `journal` that is written first, a
`tail` (what is in no database yet) and an `event_log` (SQLite, for what waits longer), which a `housekeeper`
looks after. `claims` knows what is on its way, `aside` keeps what no brain takes, `slots` knows which file is
whose, `forks` what happens when the process forks, `wakeup` wakes the housekeeper, `open` finds where the
settings say that it lives.
"""

from z4j_fastapi.buffer.aside import AsideEvent, SetAside
from z4j_fastapi.buffer.claims import Batch
from z4j_fastapi.buffer.event_buffer import EventBuffer

__all__ = ["AsideEvent", "Batch", "EventBuffer", "SetAside"]
