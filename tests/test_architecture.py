"""Who may import whom: the tables below, held against the imports that are there.

Imports inside functions count, and so do those for annotations: a reader follows them as well. A rule whose
subject has gone or been renamed fails, rather than being true of nothing.
"""

from __future__ import annotations

import ast
import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from tests.support import sources
from z4j_fastapi.devbrain import DevBrain
from z4j_probes import default_registry

PACKAGES = ("z4j_fastapi", "z4j_probes")
ROOT = Path(__file__).parents[1]
HEAVY = {"cryptography", "dns", "fastapi", "rich", "typer"}

# What a service does not load by naming an agent, and how many modules of ours it does.
WORK = (
    *("z4j_fastapi.buffer", "z4j_fastapi.commands.dispatch", "z4j_fastapi.commands.engine"),
    *("z4j_fastapi.agent.supervisor", "z4j_fastapi.reports", "z4j_fastapi.schedules", "z4j_fastapi.workers"),
    *("z4j_probes.climb", "z4j_probes.codes", "z4j_probes.env_file", "z4j_probes.invocation"),
    *("z4j_probes.ladder", "z4j_probes.portable.shell", "z4j_probes.protocol.commands"),
    *("z4j_probes.registry", "z4j_probes.rungs", "z4j_probes.storage", "z4j_probes.transport"),
)
MOST_MODULES = 45

# What an agent does not load that is online, without a worker and without a fault.
OTHERS_WORK = (
    *("z4j_fastapi.commands.engine", "z4j_fastapi.reports", "z4j_fastapi.schedules", "z4j_fastapi.workers"),
    *("z4j_probes.doctor", "z4j_probes.doctor_hello", "z4j_probes.env_file", "z4j_probes.plugins"),
    *("z4j_probes.protocol.schedules", "z4j_probes.protocol.snapshots", "z4j_probes.rungs.large_frames"),
    *("z4j_probes.rungs.tls.handshake", "z4j_probes.rungs.tls.verify", "z4j_probes.rungs.tunnel"),
    *("z4j_probes.selection", "z4j_probes.trust"),
)
GOES_ONLINE = """
import asyncio, sys
from z4j_fastapi import Z4JAgent

async def main():
    async with Z4JAgent(preflight="strict", preflight_budget_s=30) as agent:
        print(agent.status.state, *sys.modules)

asyncio.run(main())
"""

MAY_IMPORT_ONLY = {
    "z4j_probes": {"z4j_probes"},
    "z4j_probes.errors": set[str](),
    "z4j_probes.invocation": {"z4j_probes.portable"},
    "z4j_probes.replace_file": {"z4j_probes.portable"},
    "z4j_probes.result": set[str](),
    "z4j_probes.size": set[str](),
    "z4j_probes.codes": {"z4j_probes.codes", "z4j_probes.portable", "z4j_probes.result"},
    "z4j_probes.portable": {"z4j_probes.portable"},
    "z4j_probes.protocol": {"z4j_probes.protocol", "z4j_probes.errors"},
    "z4j_probes.storage": {
        "z4j_probes.storage",
        "z4j_probes.errors",
        "z4j_probes.portable",
        "z4j_probes.replace_file",
    },
    "z4j_fastapi.log": {"z4j_fastapi.reports.text", "z4j_probes.redact", "z4j_probes.result"},
    "z4j_fastapi.signals": {"z4j_probes.portable"},
    "z4j_fastapi.lifespan": {"z4j_fastapi.agent", "z4j_fastapi.log", "z4j_probes"},
    "z4j_fastapi.metrics": {"z4j_fastapi.agent", "z4j_fastapi.inventory", "z4j_fastapi.log"},
    "z4j_fastapi.agent": {
        "z4j_fastapi.agent",
        "z4j_fastapi.buffer",
        "z4j_fastapi.commands",
        "z4j_fastapi.log",
        "z4j_fastapi.reports",
        "z4j_fastapi.schedules",
        "z4j_probes",
    },
    "z4j_fastapi.schedules": {
        "z4j_fastapi.schedules",
        "z4j_fastapi.commands",
        "z4j_fastapi.log",
        "z4j_probes",
    },
    "z4j_fastapi.buffer": {"z4j_fastapi.buffer", "z4j_fastapi.log", "z4j_probes"},
    "z4j_fastapi.commands": {
        "z4j_fastapi.commands",
        "z4j_fastapi.buffer",
        "z4j_fastapi.log",
        "z4j_probes",
    },
    "z4j_fastapi.devbrain": {"z4j_fastapi.devbrain", "z4j_probes.protocol", "z4j_probes.errors"},
    "z4j_fastapi.reports": {
        "z4j_fastapi.reports",
        "z4j_probes.invocation",
        "z4j_probes.result",
        "z4j_probes.size",
    },
    "z4j_fastapi.as_service": {"z4j_fastapi.as_service", "z4j_fastapi.signals", "z4j_probes"},
    "z4j_fastapi.inventory": {"z4j_fastapi.inventory", "z4j_fastapi.as_service", "z4j_probes"},
    "z4j_fastapi.health": {
        "z4j_fastapi.health",
        "z4j_fastapi.agent",
        "z4j_fastapi.inventory",
        "z4j_fastapi.log",
        "z4j_fastapi.reports",
        "z4j_probes",
    },
    "z4j_fastapi.workers": {
        "z4j_fastapi.workers",
        "z4j_fastapi.agent",
        "z4j_fastapi.commands",
        "z4j_fastapi.log",
        "z4j_fastapi.schedules",
        "z4j_probes",
    },
    "z4j_fastapi.cli": {  # never the agent: a doctor climbs as it does, and needs no part of it
        "z4j_fastapi.cli",
        "z4j_fastapi.as_service",
        "z4j_fastapi.buffer",
        "z4j_fastapi.devbrain",
        "z4j_fastapi.inventory",
        "z4j_fastapi.reports",
        "z4j_fastapi.signals",
        "z4j_fastapi.workers.examination",
        "z4j_probes",
    },
}
"""Of this project's modules; each entry stands for what is inside it too."""

MAY_BE_IMPORTED_ONLY_BY = {
    "z4j_fastapi.agent.agent": {
        "z4j_fastapi",
        "z4j_fastapi.lifespan",
        "z4j_fastapi.workers",
        "z4j_fastapi.health",
        "z4j_fastapi.metrics",
    },
    "z4j_fastapi.agent.delivery": {"z4j_fastapi.agent.session", "z4j_fastapi.agent.supervisor"},
    "z4j_fastapi.agent.in_flight": {"z4j_fastapi.agent.delivery", "z4j_fastapi.agent.session"},
    "z4j_fastapi.agent.session": {"z4j_fastapi.agent.supervisor"},
    "z4j_fastapi.agent.supervisor": {"z4j_fastapi.agent.thread"},
    "z4j_fastapi.agent.thread": {"z4j_fastapi.agent.agent"},
    "z4j_fastapi.as_service": {"z4j_fastapi.as_service", "z4j_fastapi.cli", "z4j_fastapi.inventory"},
    "z4j_fastapi.cli": {"z4j_fastapi.cli", "z4j_fastapi.__main__"},
    "z4j_fastapi.commands": {
        "z4j_fastapi.commands",
        "z4j_fastapi.agent",
        "z4j_fastapi.schedules",
        "z4j_fastapi.workers",
    },
    "z4j_fastapi.devbrain": {"z4j_fastapi.devbrain", "z4j_fastapi.cli"},
    "z4j_fastapi.inventory": {
        "z4j_fastapi.inventory",
        "z4j_fastapi.cli",
        "z4j_fastapi.health",
        "z4j_fastapi.metrics",
    },
    "z4j_fastapi.reports": {
        "z4j_fastapi.reports",
        "z4j_fastapi.agent.errors",
        "z4j_fastapi.cli",
        "z4j_fastapi.health",
        "z4j_fastapi.log",
    },
    "z4j_fastapi.schedules": {
        "z4j_fastapi.schedules",
        "z4j_fastapi.agent",
        "z4j_fastapi.workers.examination",
    },
}
"""`z4j_fastapi` itself is the package's front door, its `__init__`, and not everything that is inside it."""

IO_MODULES = {"asyncio", "select", "selectors", "socket", "sqlite3", "ssl", "threading", "websockets"}


# Where it may be asked which system this is; `as_service` needs Linux as a whole, and what a program begins
# with holds signals back before anything is imported.
ASKS_FOR_THE_SYSTEM = ("portable", "as_service", "__main__.py")
OF_ONE_SYSTEM = {
    *("fcntl", "grp", "msvcrt", "pwd", "resource", "termios", "winreg"),
    *("os.name", "sys.platform", "platform.system", "os.register_at_fork", "os.geteuid", "os.getegid"),
    *("os.getuid", "os.getgid", "os.fchmod", "os.chown", "os.statvfs", "os.fdatasync", "os.pread", "os.fork"),
    *("os.O_CLOEXEC", "os.O_NOFOLLOW", "os.O_NONBLOCK", "os.O_DIRECTORY", "select.poll"),
    *("signal.pthread_sigmask", "signal.sigpending", "signal.SIGKILL", "signal.SIGHUP"),
    *("asyncio.run", "asyncio.Runner", "asyncio.SelectorEventLoop"),
}


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)


@pytest.mark.parametrize("subject", MAY_IMPORT_ONLY)
def test_a_room_imports_only_what_its_row_allows(imports: grimp.ImportGraph, subject: str) -> None:
    allowed = MAY_IMPORT_ONLY[subject]
    strays = {
        (importer, imported)
        for importer in _inside(imports, subject)
        for imported in imports.find_modules_directly_imported_by(importer)
        if imported.startswith(PACKAGES) and not any(_is_in(imported, room) for room in allowed)
    }
    assert not strays


def test_each_room_has_a_row(imports: grimp.ImportGraph) -> None:
    """So that a new one is placed by whom it may know, and not by what it happens to import."""
    assert imports.find_children("z4j_fastapi") - {"z4j_fastapi.__main__"} <= MAY_IMPORT_ONLY.keys()


@pytest.mark.parametrize("subject", MAY_BE_IMPORTED_ONLY_BY)
def test_a_room_is_imported_only_by_those_its_row_names(imports: grimp.ImportGraph, subject: str) -> None:
    allowed = MAY_BE_IMPORTED_ONLY_BY[subject]
    strays = {
        (importer, imported)
        for imported in _inside(imports, subject)
        for importer in imports.find_modules_that_directly_import(imported)
        if importer not in allowed and not any(_is_in(importer, room) for room in allowed - {"z4j_fastapi"})
    }
    assert not strays


def test_a_rung_is_imported_by_nothing_but_the_order_of_the_rungs(imports: grimp.ImportGraph) -> None:
    shared = {
        "connection",
        "delivered",
        "exchange",
        "hints",
        "large_frames",
        "naming_origin",
        "tunnel",
        "unit_hints",
    }
    names = {child.rpartition(".")[2]: child for child in imports.find_children("z4j_probes.rungs")}
    rungs = {path for name, path in names.items() if name not in shared and not name.startswith("_")}
    assert rungs == {f"z4j_probes.rungs.{name}" for name in default_registry().names}
    strays = {
        (importer, imported)
        for rung in rungs
        for imported in _inside(imports, rung)
        for importer in imports.find_modules_that_directly_import(imported)
        if importer != "z4j_probes.rungs" and not _is_in(importer, rung)
    }
    assert not strays


@pytest.mark.component
@pytest.mark.parametrize("module", ["z4j_probes.registry", "z4j_probes.rungs.auth"])
def test_importing_what_leads_to_the_rungs_does_not_load_them_all(module: str) -> None:
    show = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", show], check=True, capture_output=True, text=True)
    assert "z4j_probes.rungs.tls.probe" not in done.stdout.split()


def test_rooms_and_files_import_each_other_in_one_direction(imports: grimp.ImportGraph) -> None:
    """No circle of files, nor of the rooms of any package, through however many of them."""
    ours = {module for module in imports.modules if module.startswith(PACKAGES)}
    files = {module: imports.find_modules_directly_imported_by(module) & ours for module in ours}
    # where a frame is lost, the doctor climbs once more, by the order that it is a part of
    files["z4j_probes.rungs.large_frames"].remove("z4j_probes.rungs")
    _fail_on_a_circle(files)
    packages = [module for module in ours if imports.find_children(module)]
    assert {*PACKAGES, "z4j_probes.rungs", "z4j_fastapi.workers"} < set(packages)
    for package in packages:
        rooms = imports.find_children(package)
        _fail_on_a_circle({room: _rooms_imported_from(imports, room, rooms) for room in rooms})


def _fail_on_a_circle(imported: Mapping[str, set[str]]) -> None:
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(reversed(circle.args[1])))


def test_only_one_room_asks_which_system_this_is() -> None:
    """And has what one system has alone: elsewhere it would be missed when another system is added."""
    strays = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources.that_have(
            OF_ONE_SYSTEM | {f"from {name.partition('.')[0]} import" for name in OF_ONE_SYSTEM}
        )
        if not set(path.parts) & set(ASKS_FOR_THE_SYSTEM)
        for name in _names_in(sources.tree(path))
        if name in OF_ONE_SYSTEM
    }
    assert not strays


def _names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize(
    "subject",
    [
        "z4j_probes.protocol",
        "z4j_fastapi.agent.delivery",
        "z4j_fastapi.agent.in_flight",
        "z4j_fastapi.agent.reconnect",
    ],
)
def test_what_decides_is_apart_from_what_does(imports: grimp.ImportGraph, subject: str) -> None:
    """Plain data with no socket in sight, and so tested without one."""
    used = {
        imported
        for module in _inside(imports, subject)
        for imported in imports.find_modules_directly_imported_by(module)
    }
    assert used
    assert not used & IO_MODULES


@pytest.mark.component
@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_loads_nothing_heavy(package: str) -> None:
    show = f"import sys, {package}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", show], check=True, capture_output=True, text=True)
    assert not HEAVY & set(done.stdout.split())


@pytest.mark.component
def test_a_service_that_names_an_agent_loads_no_part_of_its_work() -> None:
    """What connects, buffers, obeys and explains is loaded in the agent's thread: no host waits for it."""
    show = "import sys; from z4j_fastapi import Settings, Z4JAgent, z4j_lifespan; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", show], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"sqlite3", "websockets", *HEAVY}
    strays = {module for module in loaded if any(_is_in(module, room) for room in WORK)}
    assert not strays
    ours = {module for module in loaded if module.startswith(PACKAGES)}
    # a bench's row has the time; this only sees that it does not grow module by module
    assert len(ours) <= MOST_MODULES, sorted(ours)


@pytest.mark.component
async def test_an_online_agent_without_a_worker_loads_what_it_does_and_no_more(tmp_path: Path) -> None:
    """No engine, no schedules, plain http, and nothing wrong: each of these is loaded where it is so."""
    async with DevBrain() as brain:
        environment = {**brain.environment(brain.mint("web")), "Z4J_HOME": str(tmp_path / "z4j")}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-c", GOES_ONLINE),
            env={**environment, "HOME": str(tmp_path)},
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
    state, *loaded = said.decode().split()
    assert state == "online"
    strays = {module for module in loaded if any(_is_in(module, room) for room in OTHERS_WORK)}
    assert not strays
    assert not set(loaded) & HEAVY


def _inside(imports: grimp.ImportGraph, subject: str) -> set[str]:
    assert subject in imports.modules, f"there is no {subject}: has it been renamed?"
    return {subject, *imports.find_descendants(subject)}


def _rooms_imported_from(imports: grimp.ImportGraph, room: str, rooms: set[str]) -> set[str]:
    """The other rooms that modules of this one import."""
    used = {
        imported
        for module in _inside(imports, room)
        for imported in imports.find_modules_directly_imported_by(module)
    }
    return {other for other in rooms - {room} for module in used if _is_in(module, other)}


def _is_in(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")
