"""Agents of several users and in containers, looked at by root and by one of the users: real processes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.own_machine import on_own_machine

pytestmark = pytest.mark.component

USER = 4242
# Starts agents, each with a home of its own, and looks; their brain is away, which no agent needs for a slot.
SCENE = """
import json, os, subprocess, sys, tempfile
from pathlib import Path
from tests.support.handicap import load_everything
from tests.support.namespaces import python_environ
from tests.support.own_machine import agent_command
from z4j_fastapi.inventory.survey import survey
from z4j_probes import Settings
from z4j_probes.storage.status_files import read_status_files

base = Path(tempfile.mkdtemp(dir="/tmp"))
base.chmod(0o755)
settings = {"Z4J_BRAIN_URL": "http://127.0.0.1:9", "Z4J_TOKEN": "t" * 40, "Z4J_HMAC_SECRET": "A" * 43}
processes = []

def home(name, uid):
    path = base / name
    path.mkdir(mode=0o700)
    os.chown(path, uid, uid)
    return path

def start(name, uid, *prefix, **more):
    own = home(name, uid)
    environ = python_environ({**settings, "HOME": str(own), "Z4J_AGENT_NAME": name, **more})
    command = agent_command(name, *prefix)
    process = subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    processes.append(process)
    assert process.stdout.readline()
    return process

def look(uid=0):
    reader, writer = os.pipe()
    if os.fork() == 0:
        if uid:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        found = survey(Settings.load(environ={"HOME": str(base / "nothing")}))
        os.write(writer, json.dumps(found.to_dict()).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as file:
        said = json.load(file)
    os.wait()
    return said

def until_written(path):
    import time
    deadline = time.monotonic() + 50
    while not list(path.rglob("status-*.json")):
        assert time.monotonic() < deadline, list(path.rglob("*"))
        time.sleep(0.05)
"""


def seen(said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["agent_name"]: row for row in said["agents"]}


def needs_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can have agents of several users")


def test_root_sees_all_users_and_containers_and_a_user_its_own() -> None:
    needs_root()
    script = (
        SCENE
        + """
load_everything()
become = ("-m", "tests.support.handicap")
import shutil
setpriv = [shutil.which("setpriv"), "--reuid", "4242", "--regid", "4242", "--clear-groups"]
mine = start("root", 0)
theirs = start("theirs", 4242, *setpriv)
moved = start("moved", 0, "unshare", "--mount", "sh", "-c",
    'mount -t tmpfs none /var/tmp && exec "$@"', "sh", Z4J_HOME="/var/tmp/z4j")
inside = start("inside", 0, "unshare", "--mount", "--pid", "--fork", "--mount-proc",
    "sh", "-c", 'mount -t tmpfs none /var/tmp && exec "$@"', "sh", Z4J_HOME="/var/tmp/z4j")
until_written(base)
import time
deadline = time.monotonic() + 50
while True:
    everything = look()
    if len(everything["agents"]) == 4 or time.monotonic() > deadline:
        break
    time.sleep(0.2)
print(json.dumps({"root": everything, "user": look(4242), "pids": [p.pid for p in processes]}))
for process in processes:
    process.kill()
"""
    )
    found = on_own_machine(script)
    everything, user = seen(found["root"]), seen(found["user"])
    assert set(everything) == {"root", "theirs", "moved", "inside"}, found["root"]["unreadable"]
    assert everything["root"]["pid"] == found["pids"][0]
    assert everything["theirs"]["user"] == "uid 4242"
    assert everything["moved"]["state_directory"] == f"/proc/{found['pids'][2]}/root/var/tmp/z4j"
    inside = everything["inside"]
    assert inside["pid_inside"] is not None
    assert inside["pid"] != inside["pid_inside"]
    assert set(user) == {"theirs"}
    assert {row["state"] for row in everything.values()} == {"offline"}
    assert {row["code"] for row in everything.values()} == {"tcp.refused"}
    assert not found["root"]["ok"]


def test_no_link_of_a_user_leads_root_to_what_is_not_the_users(tmp_path: Path) -> None:
    needs_root()
    script = (
        SCENE
        + """
load_everything()
mine = start("root", 0)
until_written(base)
trap = home("trap", 4242)
(trap / "z4j").symlink_to(base / "root" / ".z4j")
os.lchown(trap / "z4j", 4242, 4242)
second = home("second", 4242)
identity = second / "z4j" / ("a" * 12)
identity.mkdir(parents=True)
(identity / "status-0.json").symlink_to(next(base.rglob("status-0.json")))
# a user who says to be root's agent hides nothing
forged = next(base.rglob("root/.z4j/*/status-0.json")).read_text()
third = home("third", 4242) / "z4j" / ("b" * 12)
third.mkdir(parents=True)
# a worker of root without an agent, and one of that user's says that it is its own
bare = subprocess.Popen(["arq", "-c", "import sys; sys.stdin.read()", "shop.WorkerSettings"],
    executable=sys.executable, env=python_environ({**settings, "HOME": str(base)}), stdin=subprocess.PIPE)
processes.append(bare)
lie = {**json.loads(forged), "agent_name": "forged", "pid": bare.pid}
(third / "status-0.json").write_text(json.dumps(lie))
subprocess.run(["chown", "-R", "4242:4242", str(base / "third")], check=True)
processes.append(subprocess.Popen(["flock", str(third / "status-0.json"), "sleep", "60"],
    user=4242, group=4242, extra_groups=[], stdin=subprocess.PIPE))
for name in ("trap", "second", "third"):
    environ = python_environ({**settings, "HOME": str(base / name), "Z4J_HOME": str(base / name / "z4j")})
    processes.append(subprocess.Popen(
        ["sleep", "60"], env=environ, user=4242, group=4242, extra_groups=[], stdin=subprocess.PIPE))
import z4j_fastapi.inventory.processes as looked_at
looked_at.STARTING_S = 0.0
said = look()
print(json.dumps({**said, "bare": bare.pid}))
for process in processes:
    process.kill()
"""
    )
    said = on_own_machine(script)
    assert [one["pid"] for one in said["unwired"]] == [said["bare"]]
    seen = sorted((row["agent_name"], row["user"], row["slot"]) for row in said["agents"])
    assert seen == [("forged", "uid 4242", 0), ("root", "root", 0)]
    assert any("is a symbolic link" in text for text in said["unreadable"])
