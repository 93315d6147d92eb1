"""The name that a Mac has been given, whatever its network calls it."""

from __future__ import annotations

import plistlib
import sys
from typing import Any

import pytest

from z4j_probes.portable import machine


def test_the_name_that_was_set_is_read_from_the_preferences() -> None:
    preferences = {"System": {"Network": {"HostNames": {"LocalHostName": "annas-mac"}}}}
    for form in (plistlib.FMT_XML, plistlib.FMT_BINARY):
        assert machine.local_host_name(plistlib.dumps(preferences, fmt=form)) == "annas-mac"


@pytest.mark.parametrize("preferences", [{}, {"System": {"Network": {}}}, {"System": 1}])
def test_without_a_name_there_is_none(preferences: dict[str, Any]) -> None:
    assert machine.local_host_name(plistlib.dumps(preferences)) is None


def test_a_damaged_file_has_no_name() -> None:
    assert machine.local_host_name(b"bplist00rubbish") is None


@pytest.mark.skipif(sys.platform != "linux", reason="asks another system's C library, in vain")
def test_a_c_library_without_gethostuuid_gives_no_id() -> None:
    assert machine._hardware_uuid() is None
