"""`doctor --bundle`: what a helper needs to know, in one file that may be shown to anyone.

A zip of small texts: the report, the settings with their sources, versions, and facts about this process, its
resolver, its proxies and its trust store. Of the environment it has names, and values only where they are
known to be no one's secret. Everything passes the redactor on its way in.
"""

from __future__ import annotations

import io
import json
import os
import platform
import shutil
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from z4j_fastapi.reports import table
from z4j_probes import Report, Settings
from z4j_probes.endpoint import InvalidURL, parse_endpoint
from z4j_probes.portable import limits, user
from z4j_probes.proxy import InvalidProxy, find_proxy
from z4j_probes.trust import load_trust
from z4j_probes.variables import VARIABLES

README = """A support bundle of z4j-fastapi. Tokens, secrets, and proxy credentials are not in it.

report.txt    the doctor's report, with its evidence
report.json   the same for machines (schema z4j.doctor/1)
settings.json the settings, where each came from, and which variables are set
machine.json  versions, the process, its limits, resolver, proxies, and trust store
"""

# Their values are paths, host lists or switches, and say why a climb went another way.
_SHOWN = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY", "no_proxy", "TMPDIR", "HOME", "TZ", "LANG")
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")
_CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io")


def make_bundle(report: Report, settings: Settings, versions: Mapping[str, str]) -> bytes:
    """The zip file's content, about the process that this is called in."""
    redactor = settings.redactor()
    texts = {
        "README.txt": README,
        "report.txt": table.render(report, verbose=True),
        "report.json": _document(report.to_dict()),
        "settings.json": _document(redactor.value(_settings(settings))),
        "machine.json": _document(redactor.value({"versions": versions} | _machine(report, settings))),
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in texts.items():
            bundle.writestr(f"z4j-doctor/{name}", redactor.text(text).encode(errors="backslashreplace"))
    return file.getvalue()


def _document(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n"


def _settings(settings: Settings) -> dict[str, Any]:
    known = {name for v in VARIABLES for name in (v.name, v.file_name)}
    ours = sorted(name for name in settings.environ if name.startswith("Z4J_"))
    return {
        "settings": settings.describe(),
        "variables_set": [name for name in ours if name in known],
        "variables_unknown": [name for name in ours if name not in known],
        "unreadable": [f"{u.variable} {u.path}: {u.reason}" for u in settings.unreadable],
    }


def _machine(report: Report, settings: Settings) -> dict[str, Any]:
    return {
        "process": _process(),
        "state_directory": _disk(report.config.get("buffer_dir")),
        "resolver": _lines("/etc/resolv.conf"),
        "name_service": _lines("/etc/nsswitch.conf", only="hosts:"),
        "environment": {name: settings.environ[name] for name in _SHOWN if name in settings.environ},
        "proxy": _proxy(settings),
        "trust_store": _trust_store(settings),
    }


def _process() -> dict[str, Any]:
    return {
        "uid": user.uid(),
        "gid": user.gid(),
        "groups": user.groups(),
        "umask": _lines("/proc/self/status", only="Umask:"),
        "working_directory": _working_directory(),
        "limits": {
            "open_files": _limit("NOFILE"),
            "file_size": _limit("FSIZE"),
        },
        "container": [mark for mark in _CONTAINER_MARKS if os.path.exists(mark)],
        "started_by_systemd": "INVOCATION_ID" in os.environ,
        "os": _lines("/etc/os-release", only="PRETTY_NAME="),
        "kernel": platform.release(),
        "sys_path": sys.path,
    }


def _limit(name: str) -> tuple[int | None, int | None] | None:
    found = limits.limit(name)
    return None if found is None else (found.soft, found.hard)


def _working_directory() -> str:
    try:
        return os.getcwd()
    except OSError as exc:  # removed meanwhile, or in a place that this user may not look at
        return f"({exc.strerror})"


def _disk(directory: object) -> dict[str, Any]:
    try:
        status, usage = os.stat(str(directory)), shutil.disk_usage(str(directory))
    except OSError as exc:
        return {"path": directory, "problem": exc.strerror}
    mode = oct(status.st_mode & 0o7777)
    return {"path": directory, "uid": status.st_uid, "mode": mode, "free_bytes": usage.free}


def _lines(path: str, *, only: str = "") -> list[str]:
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as exc:
        return [f"({exc.strerror})"]
    return [line for line in lines if line.startswith(only) and not line.startswith("#")]


def _proxy(settings: Settings) -> dict[str, Any]:
    named = [name for name in _PROXIES if settings.environ.get(name)]
    try:
        proxy = find_proxy(parse_endpoint(settings.brain_url or ""), settings.environ)
    except (InvalidURL, InvalidProxy) as exc:
        return {"variables_set": named, "problem": str(exc)}
    return {"variables_set": named, "used": proxy.authority if proxy else None}


def _trust_store(settings: Settings) -> list[str]:
    try:
        return load_trust(settings).describe()
    except (OSError, ValueError) as exc:
        return [f"({exc})"]
