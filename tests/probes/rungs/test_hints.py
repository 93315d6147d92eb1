"""Commands of hints, pasted: into the shells and programs that they are for."""

from __future__ import annotations

import asyncio
import os
import pty
import shutil
import subprocess
import termios
import time
from pathlib import Path

import pytest

from tests.support.certificates import authority, issue, server_context
from tests.support.connect_proxy import connect_proxy, tunnels
from tests.support.http_peers import answering, http, peer
from tests.support.programs import program
from z4j_probes.endpoint import Endpoint, parse_endpoint
from z4j_probes.portable.shell import type_file, type_variable
from z4j_probes.proxy import Proxy
from z4j_probes.rungs.hints import ask_brain, ask_proxy, show_handshake

pytestmark = pytest.mark.component

WAIT_S = 60.0
BRAIN = Endpoint(True, "brain.example", 443)


def proxy(*, secure: bool = False, authorization: str | None = None) -> Proxy:
    return Proxy("proxy.example", 3128, secure, "HTTPS_PROXY", authorization)


async def pasted(command: str, **more: str) -> str:
    """What a shell prints of it; a proxy of this machine is none of its business."""
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", command),
        env=environ | more,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(WAIT_S):
        return (await process.communicate())[0].decode()


async def test_curl_trusts_the_ca_file_that_the_agent_trusts(tmp_path: Path) -> None:
    program("curl")
    root = authority("Corp Root CA")
    (tmp_path / "a place").mkdir()
    ca_file = root.save(tmp_path / "a place" / "root.pem")
    tls = server_context(issue(root, "localhost"))
    async with peer(answering(http("200 OK", b"well")), tls=tls) as server:
        brain = parse_endpoint(f"https://localhost:{server.port}")
        assert (await pasted(ask_brain(brain, ca_file=ca_file))).endswith("well")


async def test_a_prefix_that_a_shell_would_read_is_quoted() -> None:
    program("curl")
    async with peer(answering(http("200 OK", b"well"))) as server:
        brain = parse_endpoint(f"{server.url}/z4j;(a)&b=$HOME")
        assert (await pasted(ask_brain(brain))).endswith("well")
    assert server.requests[0].startswith(b"GET /z4j;(a)&b=$HOME/api/v1/health HTTP/1.1\r\n")


async def test_openssl_goes_through_the_proxy_too() -> None:
    async with connect_proxy(tunnels()) as server:
        command = show_handshake(BRAIN, Proxy("127.0.0.1", server.port, False, "HTTPS_PROXY"))
        assert command is not None
        await pasted(command)
    assert server.requests[0].startswith("CONNECT brain.example:443 ")


def test_a_proxy_in_tls_is_none_for_openssl_and_keeps_its_scheme_for_curl() -> None:
    assert show_handshake(BRAIN, proxy(secure=True)) is None
    assert ask_proxy("brain.example:443", proxy(secure=True)) == (
        "curl -v -x https://proxy.example:3128 https://brain.example:443"
    )


def test_credentials_are_asked_for_and_not_shown() -> None:
    given = proxy(authorization="Basic c2VzYW1lOm9wZW4=")
    commands = [ask_proxy("brain.example:443", given), ask_brain(BRAIN, given), show_handshake(BRAIN, given)]
    assert all("c2Vz" not in str(command) for command in commands)
    assert " -U USER " in ask_proxy("brain.example:443", given)
    assert "-proxy_user USER" in str(commands[2])


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_secret_is_typed_unseen(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    file, secret = tmp_path / "a secret", "s3cr3t-value_"
    assert _typed(shell, type_file(str(file)), secret) == ""
    assert file.read_text() == f"{secret}\n"
    script = f'{type_variable("Z4J_TOKEN")}; test "$Z4J_TOKEN" = {secret} && env | grep -c ^Z4J_TOKEN='
    assert _typed(shell, script, secret).split() == ["1"]


def _typed(shell: str, script: str, line: str) -> str:
    """What a terminal shows while the script runs and that line is typed, once it is not echoed any more."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([shell, "-c", script], stdin=theirs, stdout=theirs, stderr=theirs)
    ends_s = time.monotonic() + WAIT_S
    while termios.tcgetattr(ours)[3] & termios.ECHO and time.monotonic() < ends_s:
        time.sleep(0.01)
    os.write(ours, f"{line}\n".encode())
    assert process.wait(WAIT_S) == 0
    assert termios.tcgetattr(theirs)[3] & termios.ECHO
    os.set_blocking(ours, False)
    shown = _shown(ours)
    os.close(theirs)
    os.close(ours)
    return shown


def _shown(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode()
    except BlockingIOError:
        return ""
