"""`info`: the settings with their sources, the versions, and the state directory. No network, no secret."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

from z4j_fastapi.cli.output import emit
from z4j_fastapi.cli.streams import stdout_encoding
from z4j_fastapi.cli.versions import versions
from z4j_fastapi.reports.table import can_encode
from z4j_fastapi.reports.text import in_ascii, printable
from z4j_fastapi.signals import interruptible
from z4j_probes import Settings, __version__
from z4j_probes.portable import user
from z4j_probes.size import amount
from z4j_probes.storage import requested_directory
from z4j_probes.variables import VARIABLES

SCHEMA = "z4j.info/1"
_MARKS = "·"


def run(*, env_file: str | None, as_json: bool) -> int:
    """Print it; the exit status."""
    with interruptible():  # a file that settings come from may not answer
        settings = Settings.load(env_file=env_file)
        document = settings.redactor().value(_document(settings))
    page = json.dumps(document, indent=2) + "\n" if as_json else _page(document)
    emit(page if can_encode(_MARKS, stdout_encoding()) else in_ascii(page))
    return 0


def _document(settings: Settings) -> dict[str, Any]:
    described = settings.describe()
    return {
        "schema": SCHEMA,
        "version": __version__,
        "user": user.full(),
        "settings": {
            variable.name: {
                "value": described[variable.attribute],
                "source": described["sources"].get(variable.attribute),
            }
            for variable in VARIABLES
        },
        "unreadable": [f"{lost.path} ({lost.variable}): {lost.reason}" for lost in settings.unreadable],
        "state_directory": _directory(requested_directory(settings.home, settings.environ)),
        "versions": versions(),
    }


def _directory(path: str | None) -> dict[str, Any]:
    """What can be seen of it without writing there."""
    seen: dict[str, Any] = {"path": path, "exists": False, "uid": None, "mode": None, "free_bytes": None}
    if path is None:
        return seen
    try:
        status = os.stat(path)
        parent = next(part for part in (Path(path), *Path(path).parents) if part.is_dir())
        free_bytes = shutil.disk_usage(parent).free
    except OSError:
        return seen
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    return seen | {"exists": True, "uid": status.st_uid, "mode": mode, "free_bytes": free_bytes}


def _page(document: dict[str, Any]) -> str:
    settings, directory = document["settings"], document["state_directory"]
    width = max(map(len, (*settings, *document["versions"])))
    lines = [f"z4j info {document['version']} · user {document['user']}", "", "Settings"]
    for name, setting in settings.items():
        value = "not set" if setting["value"] is None else setting["value"]
        source = f"  ({setting['source']})" if setting["source"] else ""
        lines.append(f"  {name:<{width}}  {value}{source}")
    lines += [f"  can't read {lost}" for lost in document["unreadable"]]
    lines += ["", "State directory", f"  {directory['path'] or 'none: no home directory'}"]
    if directory["exists"]:
        free = amount(directory["free_bytes"])
        lines.append(f"  owner uid {directory['uid']}, mode {directory['mode']}, {free} free")
    elif directory["path"]:
        lines.append("  does not exist yet")
    lines += ["", "Versions"]
    lines += [f"  {name:<{width}}  {version}" for name, version in document["versions"].items()]
    return "\n".join(map(printable, lines)) + "\n"
