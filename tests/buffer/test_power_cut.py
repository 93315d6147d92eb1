"""Power cuts: only what was synced is left, everything else is as it was before, deleted files are back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.disk_shim import disk_shim
from tests.support.namespaces import ROOT, python_environ
from z4j_fastapi.buffer import EventBuffer

# What may be lost: a second until the next sync, and what a busy machine takes for it.
LOST_S = 2.0

APPENDER = """
import os, sys, threading, time
from pathlib import Path
from z4j_fastapi.buffer import EventBuffer, event_store, intake
event_store.CHECKPOINT_FRAMES = 100
intake.SEGMENT_BYTES = 30_000
buffer = EventBuffer.open(Path(sys.argv[1]), "abc")
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # one line, whatever another thread says
def deliver():
    while True:
        batch = buffer.claim(50, 10**6)
        time.sleep(0.02)
        if not batch:
            continue
        kept = [n for n in range(len(batch)) if n % 7 == 0]
        if len(kept) < len(batch):
            say("gone", *batch.payloads)  # first: the cut may come between the two
            buffer.forget(batch)
if sys.argv[2] == "delivering":
    threading.Thread(target=deliver, daemon=True).start()
for n in range(10**9):
    assert buffer.append(f'{{"n":{n}}}')
    say("kept", n, time.monotonic())
    time.sleep(0.0005)
"""


@pytest.mark.component
@pytest.mark.parametrize("is_delivering", [False, True])
@pytest.mark.parametrize("after_s", [1.3, 2.2, 3.4])
def test_a_power_cut_costs_the_last_second_at_most_and_doubles_nothing(
    after_s: float, is_delivering: bool, tmp_path: Path
) -> None:
    durable = tmp_path / "durable"
    (durable / "abc").mkdir(parents=True, mode=0o700)
    environ = {"LD_PRELOAD": str(disk_shim(tmp_path)), "Z4J_TEST_DURABLE": str(durable / "abc")}
    with subprocess.Popen(
        [sys.executable, "-c", APPENDER, str(tmp_path), "delivering" if is_delivering else "silent"],
        env=python_environ(environ),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(after_s)
        process.send_signal(signal.SIGSTOP)  # the cut is between two instants, not two system calls
        cut_s = time.monotonic()
        found = subprocess.run(["cp", "-r", str(durable), str(tmp_path / "after")], check=True, timeout=60)
        process.send_signal(signal.SIGKILL)
        lines = [first, *process.stdout.read().splitlines()]
    assert found.returncode == 0
    kept = {int(words[1]): float(words[2]) for line in lines if (words := line.split())[0] == "kept"}
    gone = {json.loads(text)["n"] for line in lines for text in line.split()[1:] if line.startswith("gone")}
    for name in os.listdir(tmp_path / "after" / "abc"):
        if name.count(".") > 1:  # a copy that was not complete
            os.unlink(tmp_path / "after" / "abc" / name)
    buffer = EventBuffer.open(tmp_path / "after", "abc")
    left = [json.loads(text)["n"] for text in buffer.claim(10**6, 10**9).payloads]
    assert buffer.depth == len(left)
    assert buffer.damaged_copy is None
    buffer.close()
    assert len(left) == len(set(left))
    must = {n for n, appended_s in kept.items() if appended_s < cut_s - LOST_S}
    assert must - gone <= set(left)
    assert kept
