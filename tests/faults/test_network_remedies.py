"""Hints about networks are remedies too: each is followed to the end, and the doctor is green there."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.faults.doctor import ask_doctor
from tests.faults.scenario import SCENARIOS, Case
from tests.faults.scenarios import load
from tests.faults.scenarios.dns import RESOLVER
from tests.faults.scenarios.proxy import PROXY_PORT, tinyproxy
from tests.faults.stage import BRAIN_HOST, BRAIN_IP, UPGRADE, Stage
from tests.faults.test_remedies import Steps, broken, is_green, steps_of
from tests.support.certificates import issue
from tests.support.message_limit import gateway
from tests.support.netlab import HOSTS, NetLab
from tests.support.nginx import Nginx, certificate_lines

load()
pytestmark = pytest.mark.faults


async def run_in(lab: NetLab, command: str) -> None:
    """A command of a hint, in root's shell on the lab's machine."""
    await lab.run("bash", "-c", command.replace("sudo ", ""))


async def steps_in(stage: Stage, case: Case, code: str, timeout_s: float = 5.0) -> Steps:
    """The steps of the doctor's row with that code."""
    said = await ask_doctor(stage, case, timeout_s=timeout_s)
    assert code in said.codes, said
    return steps_of(said, code.partition(".")[0])


async def test_the_mtu_lowered_as_the_hint_says(stage: Stage) -> None:
    lab, environ = await stage.lab_with_brain()
    await lab.shell("ip link set dev lo gso_max_segs 1")  # packets as they would be on a wire
    await lab.firewall("tcp dport 443 meta length > 1400 drop")
    case = Case(environ, prefix=lab.prefix)
    _, lower = await steps_in(stage, case, "signing.large_frame_lost", timeout_s=2.5)
    await run_in(lab, lower.command)
    await is_green(stage, case)


async def test_a_message_limit_raised_as_the_hint_says(stage: Stage) -> None:
    _, (raise_it,) = await broken(stage, "a_gateway_limits_messages")
    assert "to 1 MiB" in raise_it.text
    brain = await stage.brain()
    url = await stage.stack.enter_async_context(gateway(brain.url, refusing_over=1024 * 1024))
    stage.agent = None
    await is_green(stage, Case(stage.settings(brain, url)))


async def test_queries_sent_apart_as_the_hint_says(stage: Stage) -> None:
    scenario = SCENARIOS["an_answer_is_lost_at_each_look_up"]
    case = await scenario.make(stage)
    reopen, _ = await steps_in(stage, case, scenario.code, timeout_s=12.0)
    process = await asyncio.create_subprocess_exec(
        *case.prefix, "bash", "-c", reopen.command.replace("sudo ", ""), stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0
    await is_green(stage, case)


async def test_a_stale_line_removed_as_the_hint_says(stage: Stage) -> None:
    lab, environ = await stage.lab_with_brain()
    await lab.file("/etc/hosts", f"{HOSTS}198.51.100.99 {BRAIN_HOST}\n")
    case = Case(environ, prefix=lab.prefix)
    remove, *_ = await steps_in(stage, case, "tcp.unreachable")
    assert remove.command == f"grep -nw {BRAIN_HOST} /etc/hosts"
    await run_in(lab, remove.command)
    await lab.file("/etc/hosts", HOSTS)
    await is_green(stage, case)


async def test_a_name_ended_with_a_dot_as_the_hint_says(stage: Stage) -> None:
    case, (end, *_) = await broken(stage, "the_search_list_has_a_wildcard")
    assert f"({BRAIN_HOST}.)" in end.text
    await is_green(stage, replace(case, environ={**case.environ, "Z4J_BRAIN_URL": f"https://{BRAIN_HOST}."}))


async def test_name_servers_corrected_as_the_hint_says(stage: Stage) -> None:
    lab, environ = await stage.lab_with_brain()
    await lab.address(f"{RESOLVER}/24", device="eth1")
    await lab.dnsmasq(f"--host-record={BRAIN_HOST},{BRAIN_IP}", at=RESOLVER)
    await lab.file("/etc/resolv.conf", f"nameserver {RESOLVER}\r\n\toptions timeout:1\r\n")
    await lab.firewall("udp dport 53 ip daddr 127.0.0.1 drop")  # where the C library asks without a line
    case = Case(environ, prefix=lab.prefix)
    (correct,) = await steps_in(stage, case, "dns.no_resolver")
    await run_in(lab, correct.command)
    await is_green(stage, case)


async def test_the_action_removed_as_the_hint_says(stage: Stage) -> None:
    lab, environ = await stage.lab_with_brain()
    await lab.file("/etc/nsswitch.conf", "hosts: files [NOTFOUND=return] dns\n")
    case = Case(environ, prefix=lab.prefix)
    (remove,) = await steps_in(stage, case, "dns.system_failure")
    assert "Remove [NOTFOUND=return]" in remove.text
    await lab.file("/etc/nsswitch.conf", "hosts: files dns\n")
    await is_green(stage, case)


async def test_the_option_removed_as_the_hint_says(stage: Stage) -> None:
    lab, environ = await stage.lab_with_brain()
    await lab.file("/etc/resolv.conf", "nameserver 127.0.0.1\noptions use-vc timeout:1 attempts:1\n")
    await lab.firewall("tcp dport 53 drop")
    case = Case(environ, prefix=lab.prefix)
    (remove,) = await steps_in(stage, case, "dns.system_failure", timeout_s=3.0)
    assert "Remove the option use-vc" in remove.text
    await lab.file("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    await is_green(stage, case)


async def test_a_server_named_instead_of_the_stub_as_the_hint_says(stage: Stage) -> None:
    lab, environ = await stage.lab_with_brain()
    await lab.address(f"{RESOLVER}/24", device="eth1")
    await lab.dnsmasq(f"--host-record={BRAIN_HOST},{BRAIN_IP}", at=RESOLVER)
    await lab.resolver("127.0.0.53")
    case = Case(environ, prefix=lab.prefix)
    _, name = await steps_in(stage, case, "dns.timeout")
    assert "name a server of the network in /etc/resolv.conf" in name.text
    await lab.resolver(RESOLVER)
    await is_green(stage, case)


async def test_localhost_written_as_the_hint_says(stage: Stage) -> None:
    lab = await stage.lab()
    brain = await stage.brain()
    await lab.forward("127.0.0.1", 7700, brain.port)
    await lab.file("/etc/hosts", "")
    case = Case(stage.settings(brain, "http://localhost:7700"), prefix=lab.prefix)
    write, _ = await steps_in(stage, case, "dns.no_resolver")
    await run_in(lab, write.command)
    await is_green(stage, case)


async def test_the_loopback_interface_brought_up_as_the_hint_says(stage: Stage) -> None:
    """It is down in a network namespace that was just made, as by `ip netns add`."""
    lab = await stage.lab()
    brain = await stage.brain()
    await lab.forward("127.0.0.1", 7700, brain.port)
    await lab.shell("ip addr flush dev lo; ip link set lo down")
    case = Case(stage.settings(brain, "http://127.0.0.1:7700"), prefix=lab.prefix)
    (bring_up,) = await steps_in(stage, case, "tcp.unreachable")
    assert bring_up.command == "sudo ip link set lo up"
    await run_in(lab, bring_up.command)
    await is_green(stage, case)


async def test_https_proxy_set_as_the_hint_says(stage: Stage) -> None:
    lab, environ = await stage.lab_with_brain()
    await tinyproxy(lab, stage, "ConnectPort 443")
    await lab.firewall("tcp dport 443 meta skuid 0 drop")
    environ["HTTP_PROXY"] = f"http://127.0.0.1:{PROXY_PORT}"
    case = Case(environ, prefix=lab.prefix)
    set_it, *_ = await steps_in(stage, case, "tcp.timeout", timeout_s=1.0)
    assert set_it.command == 'export HTTPS_PROXY="$HTTP_PROXY"'
    await lab.run("nft", "flush", "ruleset")  # this test's proxy runs as root, too
    await is_green(stage, replace(case, environ={**environ, "HTTPS_PROXY": environ["HTTP_PROXY"]}))


async def test_a_glued_file_broken_as_the_hint_says(stage: Stage) -> None:
    case, (break_it,) = await broken(stage, "the_ca_file_is_glued")
    process = await asyncio.create_subprocess_exec("bash", "-c", break_it.command)
    assert await process.wait() == 0
    await is_green(stage, case)


async def test_line_ends_converted_as_the_hint_says(stage: Stage) -> None:
    environ = stage.settings(await stage.brain())
    path = stage.write("docker.env", "".join(f"{name}={value}\r\n" for name, value in environ.items()))

    def as_docker_reads_it() -> dict[str, str]:
        with open(path, newline="") as file:
            return dict(line.removesuffix("\n").split("=", 1) for line in file)

    (convert,) = await steps_in(stage, Case(as_docker_reads_it()), "config.invalid_url")
    process = await asyncio.create_subprocess_exec("bash", "-c", convert.command.replace("FILE", path))
    assert await process.wait() == 0
    await is_green(stage, Case(as_docker_reads_it()))


async def test_an_address_certified_as_the_hint_says(stage: Stage) -> None:
    brain = await stage.brain()
    nginx = Nginx(stage.directory / "nginx")
    stage.stack.push_async_callback(nginx.stop)
    proxying = f"location / {{ proxy_pass http://127.0.0.1:{brain.port}; {UPGRADE} }}"
    wrong = issue(stage.root, "127.0.0.1", as_dns_names=True)
    await nginx.start(certificate_lines(stage.directory, wrong) + proxying, listen="ssl")
    url = f"https://127.0.0.1:{nginx.port}"
    case = Case(stage.settings(brain, url, Z4J_CA_FILE=stage.ca_file))
    (step,) = await steps_in(stage, case, "tls.hostname_mismatch")
    assert "IP:127.0.0.1" in step.text
    right = issue(stage.root, "127.0.0.1")
    await nginx.restart(certificate_lines(stage.directory, right) + proxying, listen="ssl")
    await is_green(stage, case)


async def test_the_header_passed_on_as_the_hint_says(stage: Stage) -> None:
    brain = await stage.brain()
    nginx = Nginx(stage.directory / "nginx")
    stage.stack.push_async_callback(nginx.stop)
    site = f"location / {{{{ proxy_pass http://127.0.0.1:{brain.port}; {UPGRADE} {{more}} }}}}"
    await nginx.start(site.format(more='proxy_set_header Authorization "";'))
    case = Case(stage.settings(brain, f"http://127.0.0.1:{nginx.port}"))
    *_, passed_on, _ = await steps_in(stage, case, "auth.token_rejected")
    line = "proxy_set_header Authorization $http_authorization;"
    assert line in passed_on.text
    await nginx.restart(site.format(more=line))
    await is_green(stage, case)
