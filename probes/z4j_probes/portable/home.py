"""The user's home, and where temporary files go."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from z4j_probes.portable import user

# After $TMPDIR, as the platform's own programs try them. Never the working directory.
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108 - names in there are checked before use


def named_home(environ: Mapping[str, str]) -> str | None:
    """The home that the environment names."""
    if sys.platform == "win32":
        return environ.get("USERPROFILE") or environ.get("HOME")
    return environ.get("HOME")


def user_home(environ: Mapping[str, str]) -> str | None:
    """An absolute path; None for a user without one, as OpenShift and `docker run --user 12345` make them."""
    home = named_home(environ) or ""
    if not os.path.isabs(home):
        number = user.uid()
        home = "" if number is None else user.home_of(number) or ""
    return home if os.path.isabs(home) else None


def temporary_directories(environ: Mapping[str, str]) -> list[str]:
    """Where a directory may be made that need not outlive a reboot, in the order in which to try them."""
    if sys.platform == "win32":
        named = [environ.get("TEMP", ""), environ.get("TMP", "")]
    else:
        named = [environ.get("TMPDIR", ""), *_TEMPORARY]
    return list(dict.fromkeys(path for path in named if os.path.isabs(path)))
