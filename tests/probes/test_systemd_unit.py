"""Which systemd service a process belongs to."""

from __future__ import annotations

import pytest

from z4j_probes.systemd_unit import unit_in


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/web.service\n", "web.service"),
        ("0::/system.slice/system-web.slice/web@1.service\n", "web@1.service"),
        ("12:cpu:/system.slice/x.service\n1:name=systemd:/system.slice/web.service\n0::/\n", "web.service"),
        ("0::/user.slice/user-0.slice/session-1.scope\n", None),
        ("0::/\n", None),
        ("0::/system.slice/docker-0123.scope\n", None),
        ("", None),
    ],
)
def test_it_is_in_the_cgroup(cgroup: str, unit: str | None) -> None:
    assert unit_in(cgroup) == unit
