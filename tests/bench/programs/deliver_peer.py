"""The same with upstream's runtime."""

from __future__ import annotations

import json
import logging
import sys
import time

from peer_runtime import make_event, make_runtime, wait_online

COUNT = int(sys.argv[1])

logging.disable()
runtime = make_runtime()
runtime.start()
wait_online(runtime)
started_s = time.perf_counter()
for number in range(COUNT):
    runtime.record_event(make_event(number))
while runtime.buffer_size():
    time.sleep(0.005)
took_s = time.perf_counter() - started_s
runtime.stop()
print(json.dumps({"took_s": took_s}), flush=True)
