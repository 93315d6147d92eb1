"""The same with upstream's runtime."""

from __future__ import annotations

import json
import logging
import sys
import time

from peak import peak_mib
from peer_runtime import make_runtime, wait_online

logging.disable()
runtime = make_runtime()
runtime.start()
wait_online(runtime)
time.sleep(float(sys.argv[1]))
print(json.dumps({"peak_mib": peak_mib()}), flush=True)
runtime.stop()
