"""The tcp rung against real sockets: which address accepts, and what each of the others said."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import socket
import time

import pytest

from tests.support.connections import (
    address,
    black_hole,
    climbed,
    closed_port,
    ladder_to,
    listening,
    result_of,
)
from z4j_probes import Status
from z4j_probes.address import Address
from z4j_probes.endpoint import Endpoint
from z4j_probes.ladder import Ladder
from z4j_probes.rungs.tcp import happy_eyeballs as eyeballs

V4, V6 = socket.AF_INET, socket.AF_INET6
BRAIN = Endpoint(True, "brain.example", 443)
LOOPBACK = Endpoint(False, "localhost", 80)


def to(
    *addresses: Address, endpoint: Endpoint = BRAIN, timeout_s: float = 5, look_closer: bool = True
) -> Ladder:
    return ladder_to(endpoint, addresses=addresses, timeout_s=timeout_s, look_closer=look_closer)


def port_of(sock: socket.socket) -> int:
    port: int = sock.getsockname()[1]
    return port


@pytest.mark.parametrize("family", [V4, V6])
async def test_an_open_port_leaves_an_open_transport(family: socket.AddressFamily) -> None:
    with listening(family) as sock:
        async with climbed(to(address(port_of(sock), family))) as (climb, results):
            assert results["tcp"].code == "tcp.ok"
            assert str(address(port_of(sock), family)) in results["tcp"].message
            accepted, _ = sock.accept()
            with accepted:
                climb.transport.write(b"hello")
                assert accepted.recv(5) == b"hello"
            ours = climb.transport.get_extra_info("socket")
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert ours.fileno() == -1  # closed, and not only going to be


async def test_what_the_peer_says_unasked_is_held() -> None:
    with listening() as sock:
        async with climbed(to(address(port_of(sock)))) as (climb, _):
            accepted, _ = sock.accept()
            with accepted:
                accepted.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")
                async with asyncio.timeout(5):
                    await climb.protocol.changed()
            assert climb.protocol.take() == b"SSH-2.0-OpenSSH_9.6\r\n"


@pytest.mark.parametrize("family", [V4, V6])
async def test_a_port_without_a_listener_is_refused(family: socket.AddressFamily) -> None:
    with closed_port(family) as port:
        result = await result_of("tcp", to(address(port, family)))
    assert (result.code, result.status) == ("tcp.refused", Status.FAIL)
    assert f"{address(port, family)} refused the connection" in result.message


async def test_refusals_on_several_addresses_name_each() -> None:
    with closed_port(V4) as four, closed_port(V6) as six:
        result = await result_of("tcp", to(address(six, V6), address(four)))
    assert result.code == "tcp.refused"
    assert str(address(four)) in result.message
    assert str(address(six, V6)) in result.message
    assert [attempt["outcome"] for attempt in result.details["attempts"]] == ["failed", "failed"]


async def test_a_black_hole_ends_within_the_budget() -> None:
    with black_hole() as port:
        started_s = time.monotonic()
        result = await result_of("tcp", to(address(port), timeout_s=1))
        assert time.monotonic() - started_s <= 1
    assert result.code == "tcp.timeout"
    assert "did not answer within 9" in result.message


async def test_a_refusal_says_more_than_a_silent_address() -> None:
    with black_hole(V6) as six, closed_port() as four:
        result = await result_of("tcp", to(address(six, V6), address(four), timeout_s=0.6))
    assert result.code == "tcp.refused"
    assert "did not answer" in result.message


async def test_a_silent_first_family_costs_a_quarter_of_a_second_and_is_a_warning() -> None:
    with black_hole(V6) as six, listening() as sock:
        async with climbed(to(address(six, V6), address(port_of(sock)), timeout_s=2)) as (climb, results):
            assert not climb.transport.is_closing()
    result = results["tcp"]
    assert (result.code, result.status) == ("tcp.partial", Status.WARN)
    assert f"[::1]:{six} did not answer" in result.message
    assert "AAAA" in result.hint


async def test_a_family_that_nothing_waits_for_is_no_warning() -> None:
    with listening(V6) as six, closed_port() as four:
        result = await result_of("tcp", to(address(port_of(six), V6), address(four)))
    assert result.code == "tcp.ok"
    assert [attempt["outcome"] for attempt in result.details["attempts"]] == ["connected", "not tried"]


async def test_a_refusing_family_beside_a_working_one_is_a_warning() -> None:
    with closed_port(V6) as six, listening() as sock:
        result = await result_of("tcp", to(address(six, V6), address(port_of(sock))))
    assert result.code == "tcp.partial"
    assert "refused" in result.message


async def test_the_agent_does_not_wait_for_the_family_that_lost() -> None:
    with black_hole(V6) as six, listening() as sock:
        started_s = time.monotonic()
        result = await result_of(
            "tcp", to(address(six, V6), address(port_of(sock)), timeout_s=10, look_closer=False)
        )
        assert time.monotonic() - started_s < 2
    assert result.code == "tcp.ok"


async def test_one_family_alone_is_normal_for_a_loopback_name() -> None:
    with closed_port(V6) as six, listening() as sock:
        result = await result_of("tcp", to(address(six, V6), address(port_of(sock)), endpoint=LOOPBACK))
    assert result.code == "tcp.ok"


async def test_a_family_without_a_route_here_is_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eyeballs, "has_route", lambda _: False)
    with closed_port(V6) as six, listening() as sock:
        result = await result_of("tcp", to(address(six, V6), address(port_of(sock))))
    assert result.code == "tcp.ok"


async def test_only_the_winners_connection_stays() -> None:
    with listening(V6) as six, listening() as four:
        async with climbed(to(address(port_of(six), V6), address(port_of(four)))) as (climb, _):
            assert climb.transport.get_extra_info("peername")[1] == port_of(six)
        four.setblocking(False)
        with pytest.raises(BlockingIOError):
            four.accept()


async def test_an_ended_process_of_descriptors_is_told_with_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with listening() as sock, contextlib.ExitStack() as hoard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        try:
            with contextlib.suppress(OSError):
                while True:
                    hoard.enter_context(open("/dev/null"))  # noqa: ASYNC230
            result = await result_of("tcp", to(address(port_of(sock))))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert result.code == "tcp.no_descriptors"
    assert "64 open files" in result.message


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EPERM, "tcp.blocked"),
        (errno.EHOSTUNREACH, "tcp.unreachable"),
        (errno.ECONNRESET, "tcp.reset"),
        (errno.ETIMEDOUT, "tcp.timeout"),
        (errno.ENFILE, "tcp.no_descriptors"),
        (errno.EBADF, "tcp.unexpected"),
    ],
)
async def test_an_error_of_the_kernel_has_its_code(
    number: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: object) -> None:
        raise OSError(number, "as the kernel says")

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", failing)
    with closed_port() as port:
        result = await result_of("tcp", to(address(port)))
    assert result.code == code
    assert str(address(port)) in result.message


async def test_a_cancelled_race_leaves_no_socket_open(recwarn: pytest.WarningsRecorder) -> None:
    with black_hole() as port:
        racing = asyncio.create_task(eyeballs.race([address(port)], 30))
        await asyncio.sleep(0)
        racing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await racing
    assert not [warning for warning in recwarn if warning.category is ResourceWarning]


def test_families_take_turns_beginning_with_the_resolvers_first() -> None:
    six, four = [address(n, V6) for n in (1, 2, 3)], [address(n) for n in (1, 2)]
    assert eyeballs.interleave([*six, *four]) == (six[0], four[0], six[1], four[1], six[2])
