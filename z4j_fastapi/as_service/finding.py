"""Does systemd run this service, and would it? The first row of a report of `--unit`.

Evidence: what systemd says of the unit, and whether it could start a copy of it. Pure: data in, a row out.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence

from z4j_fastapi.as_service.systemctl import Unit, user_name
from z4j_probes.codes import outcome
from z4j_probes.result import ProbeResult, Step
from z4j_probes.systemd_unit import ServiceUnit

_KILLED = ("2", "3")  # CLD_KILLED and CLD_DUMPED of waitid(2)
_UNMET = re.compile(r"unmet condition check \((.*)\)")
_RESULTS = {
    "timeout": "it timed out while starting or stopping",
    "watchdog": "systemd's watchdog timed out",
    "start-limit-hit": "it was started too often",
    "resources": "systemd had no means to start it",
    "oom-kill": "it ran out of memory",
    "protocol": "it did not tell systemd that it is ready",
    "exec-condition": "its ExecCondition= was not met",
}

# systemd's own exit statuses, of a process that it could not set up (systemd.exec(5)).
_EXIT_NAMES = {
    200: "CHDIR",
    201: "NICE",
    202: "FDS",
    203: "EXEC",
    204: "MEMORY",
    205: "LIMITS",
    206: "OOM_ADJUST",
    207: "SIGNAL_MASK",
    208: "STDIN",
    209: "STDOUT",
    210: "CHROOT",
    211: "IOPRIO",
    212: "TIMERSLACK",
    213: "SECUREBITS",
    214: "SETSCHEDULER",
    215: "CPUAFFINITY",
    216: "GROUP",
    217: "USER",
    218: "CAPABILITIES",
    219: "CGROUP",
    220: "SETSID",
    221: "CONFIRM",
    222: "STDERR",
    224: "PAM",
    225: "NETWORK",
    226: "NAMESPACE",
    227: "NO_NEW_PRIVILEGES",
    228: "SECCOMP",
    229: "SELINUX_CONTEXT",
    230: "PERSONALITY",
    231: "APPARMOR_PROFILE",
    232: "ADDRESS_FAMILIES",
    233: "RUNTIME_DIRECTORY",
    235: "CHOWN",
    236: "SMACK_PROCESS_LABEL",
    237: "KEYRING",
    238: "STATE_DIRECTORY",
    239: "CACHE_DIRECTORY",
    240: "LOGS_DIRECTORY",
    241: "CONFIGURATION_DIRECTORY",
    242: "NUMA_POLICY",
    243: "CREDENTIALS",
    245: "BPF",
}


def running(unit: Unit, pid: int) -> ProbeResult:
    """The row of a unit that runs; `pid` is the process that the doctor acts as."""
    name, main = unit.get("Id"), unit.get("MainPID")
    details = _details(unit) | {"pid": pid}
    message = f"{name} is running (process {pid})"
    if str(pid) != main:
        message = f"{name} is running; its process {pid} has the settings, not its main process {main}"
    if unit.get("NeedDaemonReload") == "yes":
        return outcome(
            "unit.outdated",
            f"{name} is running, and its files have changed since systemd read them",
            hint=(
                Step("Have systemd read them", command(unit, "daemon-reload")),
                Step("Restart it", command(unit, "restart", name)),
            ),
            details=details,
        )
    return outcome("unit.ok", message, hint="", details=details)


def outdated(unit: Unit, names: Sequence[str], pid: int) -> ProbeResult:
    """The row of a unit that runs with other values than its files have now."""
    name = unit.get("Id")
    return outcome(
        "unit.outdated",
        f"{name} was started with other values than its files have now: {', '.join(names)}",
        hint=Step("Restart it", command(unit, "restart", name)),
        details=_details(unit) | {"pid": pid, "outdated": list(names)},
    )


def older_secret(pid: int, unit: ServiceUnit | None, changed: Mapping[str, str]) -> ProbeResult:
    """The row of a process that has read files which have changed since; their paths by setting."""
    names = {"token": "token", "hmac_secret": "secret", "ca_file": "CA file"}
    listed = ", ".join(f"{path} ({names.get(setting, setting)})" for setting, path in changed.items())
    restart = Step("Restart it, if the old ones are no longer valid", unit.command("restart") if unit else "")
    return outcome(
        "unit.older_secret",
        f"process {pid} has read an older version of {listed}",
        hint=(Step("Wait until the agent connects the next time: it reads them again then"), restart),
        details={"pid": pid, "changed": dict(changed)},
    )


def not_running(unit: Unit) -> ProbeResult:
    """The row of a unit that does not run, and of which systemd could start a copy."""
    name = unit.get("Id")
    # starting one that is active already does nothing (RemainAfterExit=)
    verb = "restart" if unit.get("ActiveState") == "active" else "start"
    steps: tuple[Step, ...] = (Step("Start it", command(unit, verb, name)),)
    if unit.get("ActiveState") in ("failed", "activating"):
        steps = (Step("See what it logged", f"{_journalctl(unit)} -n 50"), *steps)
    return outcome("unit.not_running", f"{name} {state(unit)}", hint=steps, details=_details(unit))


def cannot_start(unit: Unit, reason: str, *, journal: Sequence[str] = ()) -> ProbeResult:
    """The row of a unit that systemd can't start."""
    name = unit.get("Id")
    return outcome(
        "unit.cannot_start",
        f"systemd can't start {name}: {reason}",
        hint=(
            Step("Correct it", command(unit, "edit", name)),
            Step("Start it", command(unit, "restart", name)),
        ),
        details=_details(unit) | ({"journal": list(journal)} if journal else {}),
    )


def not_taken_over(row: ProbeResult, properties: Sequence[str]) -> ProbeResult:
    """The same row where the service has limits that the doctor has not, and that decide."""
    return outcome(
        "unit.not_taken_over",
        f"{row.message}; not taken over, and perhaps decisive: {', '.join(properties)}",
        details={**row.details, "not_taken_over": list(properties)},
    )


def state(unit: Unit) -> str:
    """Why it does not run, in words that follow its name."""
    active, last = unit.get("ActiveState"), _last_end(unit)
    if active == "failed":
        return f"is not running: it failed: {last}"
    if active == "activating" and unit.get("SubState") == "auto-restart":
        return f"is not running: systemd will start it again after it failed: {last}"
    if active in ("activating", "deactivating"):
        return f"is {active} ({unit.get('SubState')})"
    if active == "active":
        return f"is active, but has no process ({unit.get('SubState')})"
    if unit.get("ConditionTimestamp") and unit.get("ConditionResult") == "no":
        return "is not running: its last start was skipped, because a condition was not met"
    if not unit.get("ExecMainStartTimestamp"):
        return "is not running (stopped, or never started)"  # systemd forgets what it does not need
    return f"is not running: it was stopped or has ended ({last})"


def exit_words(status: int) -> str:
    """An exit status, and what systemd.exec(5) calls it."""
    return f"{status}/{_EXIT_NAMES[status]}" if status in _EXIT_NAMES else f"exit status {status}"


def reason_of(unit: Unit, copy: Unit, journal: Sequence[str]) -> str:
    """Why systemd could not start the copy of a unit."""
    unmet = next((found[1] for line in journal if (found := _UNMET.search(line))), "a condition")
    failed = next((line for line in journal if line.startswith("Failed to ")), "")
    if any("asserts failed" in line for line in journal):
        return "an assertion (Assert…=) is not met"
    if copy.get("ConditionResult") == "no":
        return f"{unmet} is not met"
    if copy.get("Result") == "exit-code":
        status = int(copy.get("ExecMainStatus") or 0)
        return f"{exit_words(status)}: {_step_words(unit, status) or failed or 'see its journal'}"
    if copy.get("LoadState") not in ("loaded", ""):
        return _load_error(copy) or f"its settings are refused ({copy.get('LoadState')})"
    return failed or _RESULTS.get(copy.get("Result"), copy.get("Result"))


def is_refused(unit: Unit) -> bool:
    """Whether systemd refuses a unit's settings as a whole."""
    return unit.get("LoadState") not in ("loaded", "stub", "merged")


def refusal(unit: Unit, journal: Sequence[str]) -> str:
    """Why it does; its last words about the unit are more precise than the error that it keeps."""
    said = next((line for line in reversed(journal) if line.endswith("Refusing.")), "")
    return (
        said.removesuffix(" Refusing.").rstrip(".")
        or _load_error(unit)
        or f"its settings are refused ({unit.get('LoadState')})"
    )


def command(unit: Unit, verb: str, *names: str) -> str:
    """A systemctl command for it: root's, or that of the user whose manager runs it."""
    words = (verb, *names)
    if unit.manager is None:
        return f"sudo systemctl {' '.join(words)}"
    return f"systemctl --user {' '.join(words)}"


def _journalctl(unit: Unit) -> str:
    if unit.manager is None:
        return f"sudo journalctl -u {unit.get('Id')}"
    return f"journalctl --user -u {unit.get('Id')}"


def _last_end(unit: Unit) -> str:
    result, status = unit.get("Result"), unit.get("ExecMainStatus")
    if result in _RESULTS:
        return _RESULTS[result]
    if unit.get("ExecMainCode") in _KILLED:
        return f"killed by {_signal(int(status))}"
    if unit.get("ExecMainCode") == "1" and status != "0":
        return exit_words(int(status))
    return "exit status 0" if result == "success" else f"{result}, in a command before or after the main one"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _step_words(unit: Unit, status: int) -> str:
    user = unit.get("User") or "root"
    groups = ", ".join(filter(None, (unit.get("Group"), unit.get("SupplementaryGroups"))))
    return {
        200: f"{user} can't enter WorkingDirectory={unit.get('WorkingDirectory').lstrip('!')}",
        216: f"no such group ({groups})",
        217: f"there is no user {user}",
    }.get(status, "")


def _load_error(unit: Unit) -> str:
    """LoadError: the bus's name of it, and a sentence in quotes."""
    return unit.get("LoadError").partition(" ")[2].strip('"')


def _details(unit: Unit) -> dict[str, object]:
    shown = {name: unit.get(name) for name in ("ActiveState", "SubState", "Result", "ExecMainStatus")}
    found: dict[str, object] = {"unit": unit.get("Id"), "systemd": shown}
    if unit.manager is not None:
        found["manager"] = user_name(unit.manager)
    return found
