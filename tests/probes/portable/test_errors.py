"""Error numbers of Windows, through the verdict on tcp."""

from __future__ import annotations

import errno
import socket

import pytest

from z4j_probes.address import Address
from z4j_probes.portable import errors
from z4j_probes.rungs.tcp.classify import classify, describe
from z4j_probes.rungs.tcp.happy_eyeballs import Attempt, Outcome

BRAIN = Address(socket.AF_INET, "192.0.2.1", 443)


@pytest.mark.parametrize(
    ("number", "winerror", "code"),
    [
        (10061, None, "tcp.refused"),
        (10061, 10061, "tcp.refused"),
        (22, 1225, "tcp.refused"),  # the Proactor loop's, which Python calls EINVAL
        (22, 1234, "tcp.refused"),
        (10060, 10060, "tcp.timeout"),
        (22, 121, "tcp.timeout"),
        (10051, 10051, "tcp.unreachable"),
        (10065, 10065, "tcp.unreachable"),
        (10049, 10049, "tcp.unreachable"),
        (22, 1231, "tcp.unreachable"),
        (22, 1232, "tcp.unreachable"),
        (10054, 10054, "tcp.reset"),
        (10053, 10053, "tcp.reset"),
        (22, 64, "tcp.reset"),
        (22, 1236, "tcp.reset"),
        (10013, 10013, "tcp.blocked"),
        (10024, 10024, "tcp.no_descriptors"),
        (10022, 10022, "tcp.unreachable"),  # a link-local address without its interface
    ],
)
def test_a_windows_error_is_judged_as_its_errno(number: int, winerror: int | None, code: str) -> None:
    attempt = Attempt(BRAIN, Outcome.FAILED, errors.meaning(number, winerror), 0.1)
    assert classify([attempt]) == code
    assert "Unknown error" not in describe([attempt])


@pytest.mark.parametrize(("winerror", "number"), [(32, errno.EBUSY), (112, errno.ENOSPC), (5, errno.EACCES)])
def test_a_windows_error_of_files_is_judged_as_its_errno(winerror: int, number: int) -> None:
    assert errors.meaning(13, winerror) == number


@pytest.mark.parametrize("number", [None, errno.ECONNREFUSED, errno.ENOENT])
def test_a_number_of_this_systems_own_is_left_as_it_is(number: int | None) -> None:
    assert errors.meaning(number) == number


def test_a_resolvers_error_keeps_its_own_words() -> None:
    assert errors.reason(socket.gaierror(11001, "No such host is known")) == "No such host is known"
