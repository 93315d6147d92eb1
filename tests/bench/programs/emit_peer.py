"""The same with upstream's runtime: making the event and handing it over, as its engine adapters do."""

from __future__ import annotations

import json
import logging
import os
import sys
import time

from peer_runtime import make_event, make_runtime

COUNT = int(sys.argv[1])

logging.disable()
runtime = make_runtime()
started_s = time.perf_counter()
runtime.start()
start_ms = (time.perf_counter() - started_s) * 1e3
took_us = []
for number in range(COUNT):
    before_s = time.perf_counter()
    runtime.record_event(make_event(number))
    took_us.append((time.perf_counter() - before_s) * 1e6)
buffered = runtime.buffer_size()
print(json.dumps({"took_us": took_us, "start_ms": start_ms, "buffered": buffered}), flush=True)
os._exit(0)
