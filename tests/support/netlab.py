"""A machine of one's own: a network and a mount table that a test arranges, with servers of the test in it.

A socket belongs to the network in which it was made, whoever uses it later. So the peers of a lab are made by
the test process itself, which enters the lab's network for that moment in a thread (setns(2)), and need no
process in there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tests.support.namespaces import enter
from tests.support.programs import Program, program, unavailable

T = TypeVar("T")
_WHICH = ("--net", "--mount", "--")
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"


class NetLab:
    """A network with a loopback that is up, and nothing else."""

    def __init__(self, directory: Path, process: asyncio.subprocess.Process) -> None:
        self._directory = directory
        self._process = process
        self.prefix = (program("nsenter"), f"--target={process.pid}", *_WHICH)
        self._programs: list[Program] = []
        self._servers: list[asyncio.Server] = []
        self._relays: set[asyncio.Task[None]] = set()

    @classmethod
    async def start(cls, directory: Path) -> NetLab:
        """Make one; skips where namespaces are not permitted."""
        if os.geteuid() != 0:
            unavailable("namespaces with users of their own need root")
        directory.mkdir(exist_ok=True)  # noqa: ASYNC240 - a local disk
        process = await asyncio.create_subprocess_exec(
            *(program("unshare"), "--net", "--mount", "--propagation", "private"),
            *("sh", "-c", "ip link set lo up && echo ready && exec sleep 600"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        if await process.stdout.readline() != b"ready\n":
            _, errors = await process.communicate()
            unavailable(f"no namespaces: {errors.decode().strip()}")
        lab = cls(directory, process)
        await lab.file("/etc/hosts", HOSTS)
        await lab.file("/etc/nsswitch.conf", "hosts: files dns\n")
        await lab.file("/etc/resolv.conf", "")
        return lab

    async def close(self) -> None:
        """End everything in it."""
        for server in self._servers:
            server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)
        for running in self._programs:
            await running.stop()
        self._process.kill()
        await self._process.wait()

    async def run(self, *command: str, standard_input: str = "") -> None:
        """Run a program in the lab; it has to succeed."""
        process = await asyncio.create_subprocess_exec(
            *self.prefix,
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await process.communicate(standard_input.encode())
        assert process.returncode == 0, f"{' '.join(command)}: {errors.decode()}"

    async def shell(self, script: str) -> None:
        """Several commands, the first that fails being the last."""
        await self.run("sh", "-ec", script)

    async def file(self, path: str, text: str) -> None:
        """Put this text where the lab's programs see `path`."""
        ours = self._directory / Path(path).name
        ours.write_text(text)
        ours.chmod(0o644)
        await self.run("mount", "--bind", str(ours), os.path.realpath(path))  # noqa: ASYNC240

    async def address(self, *addresses: str, device: str = "eth0") -> None:
        """An interface with these addresses; at its other end nobody answers."""
        lines = [f"ip link add {device} type veth peer name {device}-end"]
        lines += [f"ip link set {name} up" for name in (device, f"{device}-end")]
        lines += [f"ip addr add {address} dev {device} nodad" for address in addresses if ":" in address]
        lines += [f"ip addr add {address} dev {device}" for address in addresses if ":" not in address]
        await self.shell("\n".join(lines))

    async def firewall(self, *rules: str, sets: tuple[str, ...] = (), hook: str = "output") -> None:
        """nftables rules, and the sets that they use, for what leaves the lab's programs (or arrives)."""
        program("nft")
        lines = ["table inet lab {", *(f" set {one}" for one in sets), f" chain {hook} {{"]
        lines += [f"  type filter hook {hook} priority 0", *rules, " }", "}", ""]
        await self.run(program("nft"), "-f", "-", standard_input="\n".join(lines))

    async def resolver(self, *servers: str, search: str = "") -> None:
        """What resolv.conf names; short timeouts, so that silence is not all that a test is about."""
        lines = [f"nameserver {server}" for server in servers] + ([f"search {search}"] if search else [])
        await self.file("/etc/resolv.conf", "\n".join([*lines, "options timeout:1 attempts:1", ""]))

    async def dnsmasq(self, *options: str, at: str = "127.0.0.1") -> None:
        """dnsmasq on port 53, answering from its options alone; it is in resolv.conf unless that is set."""
        await self.background(
            *(program("dnsmasq"), "--keep-in-foreground", "--conf-file=/dev/null", "--user=root"),
            *("--no-resolv", "--no-hosts", "--log-facility=-", "--pid-file=", "--bind-interfaces"),
            *(f"--listen-address={at}", *options),
        )
        await self.until_listening(at, 53)

    async def unbound(self, configuration: str, *, at: str = "127.0.0.1") -> None:
        """unbound on port 53 with these lines in its server clause (and clauses after it)."""
        server = f"server:\n  interface: {at}\n  do-daemonize: no\n  username: ''\n  chroot: ''\n"
        server += (
            f"  directory: {self._directory}\n  pidfile: ''\n  use-syslog: no\n  do-not-query-localhost: no\n"
        )
        path = self._directory / "unbound.conf"
        path.write_text(f"{server}  {configuration}\nremote-control:\n  control-enable: no\n")
        await self.background(program("unbound"), "-d", "-c", str(path))
        await self.until_listening(at, 53)

    async def background(self, *command: str) -> None:
        """A program that runs in the lab until its end."""
        self._programs.append(await Program.start(self._directory / "log", *self.prefix, *command))

    async def until_listening(self, host: str, port: int) -> None:
        """Return once the program that was started last accepts connections there."""

        def connects() -> bool:
            with socket.socket(_family(host)) as sock:
                return sock.connect_ex((host, port)) == 0

        async with asyncio.timeout(20):
            while not await asyncio.to_thread(self.inside, connects):
                await self._programs[-1].pause()

    def inside(self, action: Callable[[], T]) -> T:
        """Do something in the lab's network, in a thread of its own; what it opened may leave."""
        done: list[T] = []
        errors: list[BaseException] = []

        def act() -> None:
            try:
                enter(self._process.pid, "net")
                done.append(action())
            except BaseException as exc:
                errors.append(exc)

        thread = threading.Thread(target=act)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return done[0]

    def listener(self, host: str, port: int) -> socket.socket:
        """A listening socket in there."""

        def listen() -> socket.socket:
            return socket.create_server((host, port), family=_family(host))

        return self.inside(listen)

    async def forward(self, host: str, port: int, to_port: int) -> None:
        """Let what connects there reach a server on this test's own loopback."""

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._relays.add(task)
            with contextlib.suppress(OSError, asyncio.CancelledError):
                up_reader, up_writer = await asyncio.open_connection("127.0.0.1", to_port)
                await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
            writer.close()

        self._servers.append(await asyncio.start_server(relay, sock=self.listener(host, port)))


def lab_entered_by(prefix: tuple[str, ...]) -> int | None:
    """The process in whose lab a program is run with this prefix; None where it is no lab's."""
    return int(prefix[1].removeprefix("--target=")) if prefix[2:] == _WHICH else None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
