"""The buffer: what the agent has to tell the brain, kept until the brain has acknowledged it.

`event_buffer` is what an agent uses; `event_store` puts an `event_log` (SQLite) and a `memory_queue` (while
the disk fails) behind it, `claims` knows what is on its way, `slots` which file is whose, `forks` what
happens when the process forks, `bell` wakes who looks after the disk, `opening` where the
settings say that it lives.
"""

from z4j_fastapi.buffer.claims import Batch
from z4j_fastapi.buffer.event_buffer import EventBuffer

__all__ = ["Batch", "EventBuffer"]
