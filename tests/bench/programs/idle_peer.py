"""The same with upstream's runtime."""

from __future__ import annotations

import json
import logging
import sys
import time

from peak import peak_mib
from peer_runtime import make_runtime, wait_online

SECONDS, SETTLES_S = float(sys.argv[1]), float(sys.argv[2])

logging.disable()
runtime = make_runtime()
runtime.start()
wait_online(runtime)
time.sleep(SETTLES_S)
cpu_s = time.process_time()
time.sleep(SECONDS)
cpu_s = time.process_time() - cpu_s
print(json.dumps({"peak_mib": peak_mib(), "cpu_s": cpu_s}), flush=True)
runtime.stop()
