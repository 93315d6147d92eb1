"""Loads the modules that a file names, and does nothing; says what CPU that cost."""

from __future__ import annotations

import contextlib
import importlib
import json
import resource
import sys
from pathlib import Path

for name in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
    with contextlib.suppress(ImportError):  # a name that a module gives to another one
        importlib.import_module(name)
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"cpu_s": used.ru_utime + used.ru_stime}), flush=True)
sys.stdin.read()
