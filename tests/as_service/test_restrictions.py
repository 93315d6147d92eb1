"""What is taken over of a unit's limits: kinds of socket, control group; and what is named instead."""

from __future__ import annotations

import subprocess
import sys

import pytest

from z4j_fastapi.as_service import address_families
from z4j_fastapi.as_service.control_group import path_in
from z4j_fastapi.as_service.process import limits_in
from z4j_fastapi.as_service.restrictions import blocked_calls

OPEN = """
import socket, sys
from z4j_fastapi.as_service import address_families, syscalls
syscalls.lock_down()
syscalls.filter_system_calls(address_families.filter_of(sys.argv[1]))
for name in ("AF_UNIX", "AF_INET", "AF_INET6"):
    try:
        socket.socket(getattr(socket, name)).close()
        print(name)
    except OSError as exc:
        assert exc.errno == 97, exc
"""


@pytest.mark.component
@pytest.mark.skipif(not address_families.has_filter(), reason="no filter can be made for this machine")
@pytest.mark.parametrize(
    ("shown", "possible"),
    [
        ("AF_UNIX", ["AF_UNIX"]),
        ("AF_INET AF_UNIX", ["AF_UNIX", "AF_INET"]),
        ("~AF_INET", ["AF_UNIX", "AF_INET6"]),
        ("none", []),
        ("AF_INET AF_INET6 AF_NETLINK AF_UNIX", ["AF_UNIX", "AF_INET", "AF_INET6"]),
    ],
)
def test_only_the_kinds_of_socket_that_are_allowed_can_be_opened(shown: str, possible: list[str]) -> None:
    assert address_families.restricts(shown)
    done = subprocess.run([sys.executable, "-c", OPEN, shown], capture_output=True, text=True, check=True)
    assert done.stdout.split() == possible


@pytest.mark.parametrize("shown", ["", "~"])
def test_no_restriction_is_none(shown: str) -> None:
    assert not address_families.restricts(shown)


@pytest.mark.parametrize(
    ("shown", "blocked"),
    [
        ("~adjtimex clock_settime", set()),
        ("~connect:1 bind", {"connect"}),
        ("read clone3 openat mmap poll epoll_wait socket connect sendto recvfrom sendmsg", {"recvmsg"}),
        ("~clone3:1", {"clone3"}),
    ],
)
def test_system_calls_that_an_agent_needs_are_found_missing(shown: str, blocked: set[str]) -> None:
    assert blocked_calls(shown) == blocked


def test_the_group_is_that_of_version_2() -> None:
    assert path_in("4:memory:/x\n0::/system.slice/web.service\n") == "/system.slice/web.service"
    assert path_in("4:memory:/x\n") is None


def test_limits_are_read_as_the_kernel_prints_them() -> None:
    text = (
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max file size             unlimited            unlimited            bytes     \n"
        "Max open files            512                  1024                 files     \n"
    )
    assert limits_in(text) == {1: (-1, -1), 7: (512, 1024)}
