"""arq workers and pools with an agent: their jobs as events.

`z4j_worker` decorates a worker's settings, `z4j_pool` makes a pool report what it enqueues. Neither needs arq
to be installed until it is used.
"""

from z4j_fastapi.workers.arq.decorate import z4j_worker
from z4j_fastapi.workers.arq.pool import z4j_pool

__all__ = ["z4j_pool", "z4j_worker"]
