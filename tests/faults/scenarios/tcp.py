"""Connections that are refused, dropped, rejected or reset on the way, by real firewalls and routes."""

from __future__ import annotations

import socket

from tests.faults.scenario import Case, scenario
from tests.faults.stage import BRAIN_HOST, BRAIN_IP, BRAIN_IP6, Stage
from tests.support.connections import black_hole, closed_port
from tests.support.ladders import SECRET, TOKEN


def dialling(address: str, *, words: tuple[str, ...] = (), prefix: tuple[str, ...] = (), **more: str) -> Case:
    """A doctor whose brain is at this address and port."""
    return Case(
        {"Z4J_BRAIN_URL": f"https://{address}", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET, **more},
        words=words,
        prefix=prefix,
    )


@scenario("tcp.refused", "nothing listens at the port", "refused the connection", hint=("ss -ltn",))
async def nothing_listens(stage: Stage) -> Case:
    """a port that nothing listens on"""
    port = stage.stack.enter_context(closed_port())
    return dialling(f"127.0.0.1:{port}", words=(f"127.0.0.1:{port}",))


@scenario(
    "tcp.refused",
    "nothing listens at any of several addresses",
    BRAIN_IP,
    BRAIN_IP6,
    "refused the connection",
)
async def nothing_listens_at_either_address(stage: Stage) -> Case:
    """a name with A and AAAA records, and a brain that is down: "Multiple exceptions" elsewhere"""
    lab = await stage.lab(f"{BRAIN_IP}/24", f"{BRAIN_IP6}/64")
    await lab.dnsmasq(f"--host-record={BRAIN_HOST},{BRAIN_IP},{BRAIN_IP6}")
    await lab.resolver("127.0.0.1")
    return dialling(BRAIN_HOST, prefix=lab.prefix)


@scenario("tcp.refused", "a firewall that rejects with a reset", f"{BRAIN_IP}:443", "refused")
async def a_firewall_rejects_with_reset(stage: Stage) -> Case:
    """nftables answers the SYN with RST, which no client can tell from a closed port"""
    lab, environ = await stage.lab_with_brain()
    await lab.firewall("tcp dport 443 reject with tcp reset")
    return Case(environ, prefix=lab.prefix)


@scenario(
    "tcp.timeout", "a firewall that drops packets", f"{BRAIN_IP}:443", "did not answer within", timeout_s=1.0
)
async def a_firewall_drops(stage: Stage) -> Case:
    """nftables drops what goes to port 443"""
    lab, environ = await stage.lab_with_brain()
    await lab.firewall("tcp dport 443 drop")
    return Case(environ, prefix=lab.prefix)


@scenario("tcp.timeout", "a process that listens and accepts nothing", "did not answer within", timeout_s=1.0)
async def the_backlog_is_full(stage: Stage) -> Case:
    """a process that listens and accepts nothing any more"""
    port = stage.stack.enter_context(black_hole())
    return dialling(f"127.0.0.1:{port}", words=(f"127.0.0.1:{port}",))


@scenario(
    "tcp.unreachable",
    "no route (ENETUNREACH)",
    "203.0.113.7:443",
    "no route",
    hint=("ip route get 203.0.113.7",),
)
async def there_is_no_route(stage: Stage) -> Case:
    """a machine with one network and no default route"""
    lab = await stage.lab(f"{BRAIN_IP}/24")
    return dialling("203.0.113.7", prefix=lab.prefix)


@scenario(
    "tcp.unreachable",
    "a router that says the host is unreachable (EHOSTUNREACH)",
    f"{BRAIN_IP}:443",
    "No route to host",
)
async def a_router_says_host_unreachable(stage: Stage) -> Case:
    """nftables rejects with ICMP host-unreachable, as a router for a host that is down"""
    lab, environ = await stage.lab_with_brain()
    await lab.firewall("tcp dport 443 reject with icmp type host-unreachable")
    return Case(environ, prefix=lab.prefix)


@scenario("tcp.unreachable", "an IPv6 address on a machine without IPv6", "[2001:db8:9::1]:443")
async def there_is_no_ipv6(stage: Stage) -> Case:
    """the brain's URL has an IPv6 address, the machine only IPv4"""
    lab = await stage.lab(f"{BRAIN_IP}/24")
    return dialling("[2001:db8:9::1]", prefix=lab.prefix)


@scenario(
    "tcp.unreachable",
    "no free local port",
    "no local address or port is free",
    hint=("ip_local_port_range",),
)
async def the_local_ports_are_used_up(stage: Stage) -> Case:
    """ip_local_port_range of one port, and that one is taken"""
    lab, environ = await stage.lab_with_brain()
    await lab.shell("echo '40000 40000' > /proc/sys/net/ipv4/ip_local_port_range")
    stage.stack.enter_context(lab.inside(lambda: _connected(BRAIN_IP, 443)))
    await lab.file("/etc/hosts", f"{BRAIN_IP} {BRAIN_HOST}\n")
    return Case(environ, prefix=lab.prefix)


def _connected(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port))


@scenario(
    "tcp.reset",
    "a firewall that resets the connection during its handshake",
    f"{BRAIN_IP}:443",
    "reset the connection",
)
async def a_firewall_resets_what_is_set_up(stage: Stage) -> Case:
    """nftables lets SYN pass and rejects the handshake's last packet with RST, as inspecting firewalls do"""
    lab, environ = await stage.lab_with_brain()
    await lab.firewall("tcp dport 443 tcp flags & (syn|ack) == ack reject with tcp reset")
    return Case(environ, prefix=lab.prefix)


@scenario(
    "tcp.blocked",
    "a route that prohibits the address",
    f"{BRAIN_IP}:443",
    "is blocked here: Permission denied",
    hint=("nft list ruleset",),
)
async def a_route_prohibits_it(stage: Stage) -> Case:
    """`ip route add prohibit`: connect(2) fails with EACCES"""
    lab = await stage.lab("192.0.2.1/24")
    await lab.shell(f"ip route add prohibit {BRAIN_IP}")
    return dialling(BRAIN_IP, prefix=lab.prefix)


@scenario(
    "tcp.unreachable",
    "a route that discards packets (blackhole)",
    f"{BRAIN_IP}:443",
    "a route of this machine discards",
    hint=(f"ip route get {BRAIN_IP}", "blackhole route"),
)
async def a_route_discards_it(stage: Stage) -> Case:
    """`ip route add blackhole`: connect(2) fails with EINVAL"""
    lab = await stage.lab("192.0.2.1/24")
    await lab.shell(f"ip route add blackhole {BRAIN_IP}")
    return dialling(BRAIN_IP, prefix=lab.prefix)


@scenario("tcp.blocked", "a sandbox that forbids connections", "is blocked here: Operation not permitted")
async def a_sandbox_forbids_connect(stage: Stage) -> Case:
    """a seccomp filter: connect(2) fails with EPERM"""
    port = stage.stack.enter_context(closed_port())
    environ = {"Z4J_BRAIN_URL": f"https://127.0.0.1:{port}", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    return Case(environ, handicap=("connect=none",))


@scenario(
    "tcp.partial",
    "IPv6 is dead, IPv4 works",
    BRAIN_IP,
    f"[{BRAIN_IP6}]:443 did not answer",
    hint=("IPv6", "AAAA"),
)
async def ipv6_is_dropped(stage: Stage) -> Case:
    """nftables drops IPv6: the session stands over IPv4 a quarter of a second later"""
    lab, environ = await stage.lab_with_brain(BRAIN_IP, BRAIN_IP6)
    await lab.firewall("meta nfproto ipv6 tcp dport 443 drop")
    return Case(environ, prefix=lab.prefix)


@scenario(
    "tcp.partial", "an AAAA record for a server without IPv6", f"[{BRAIN_IP6}]:443 refused", hint=("AAAA",)
)
async def the_brain_listens_on_ipv4_alone(stage: Stage) -> Case:
    """a name with both records, and nothing listening at the IPv6 address"""
    lab, environ = await stage.lab_with_brain(BRAIN_IP)
    await lab.shell(f"ip addr add {BRAIN_IP6}/64 dev eth0 nodad")
    await lab.file("/etc/hosts", f"{BRAIN_IP6} {BRAIN_HOST}\n{BRAIN_IP} {BRAIN_HOST}\n")
    return Case(environ, prefix=lab.prefix)


@scenario(
    "tcp.no_descriptors",
    "no free file descriptor (EMFILE)",
    "this process can't open a socket",
    "open files",
    hint=("ulimit -n", "LimitNOFILE"),
)
async def the_process_is_out_of_descriptors(stage: Stage) -> Case:
    """RLIMIT_NOFILE leaves what the event loop itself needs"""
    port = stage.stack.enter_context(closed_port())
    environ = {"Z4J_BRAIN_URL": f"https://127.0.0.1:{port}", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    return Case(environ, arguments=("--only", "tcp"), handicap=("descriptors=3",))


@scenario(
    "tcp.unreachable",
    "a firewall on this machine that rejects",
    "though there is a route: a firewall rejects it",
    hint=("nft list ruleset",),
)
async def a_local_firewall_rejects(stage: Stage) -> Case:
    """nftables rejects what leaves for the brain with "administratively prohibited": EHOSTUNREACH"""
    lab, environ = await stage.lab_with_brain()
    await lab.firewall("tcp dport 443 reject with icmp type admin-prohibited")
    return Case(environ, prefix=lab.prefix)


@scenario(
    "tcp.unreachable",
    "a machine with IPv6 only, a brain with IPv4 only",
    "this machine has IPv6 only",
    "has only IPv4 (A record)",
    hint=("AAAA record", "NAT64"),
)
async def a_machine_with_ipv6_only(stage: Stage) -> Case:
    """an interface with an IPv6 address and a default route for it, and an A record for the brain"""
    lab = await stage.lab(f"{BRAIN_IP6}/64")
    await lab.shell("ip -6 route add default dev eth0")
    await lab.dnsmasq(f"--host-record={BRAIN_HOST},{BRAIN_IP}", "--local=/example.com/")
    await lab.resolver("127.0.0.1")
    environ = stage.settings(await stage.brain(), f"https://{BRAIN_HOST}")
    return Case(environ, prefix=lab.prefix)


@scenario(
    "tcp.timeout",
    "HTTP_PROXY is set, and nothing else",
    "did not answer within",
    "HTTP_PROXY is set, but not read",
    hint=("Set HTTPS_PROXY", 'export HTTPS_PROXY="$HTTP_PROXY"'),
    timeout_s=1.0,
)
async def only_http_proxy_is_set(stage: Stage) -> Case:
    """direct connections are dropped, and the way out is named in HTTP_PROXY only"""
    lab, environ = await stage.lab_with_brain()
    await lab.firewall("tcp dport 443 drop")
    return Case(environ | {"HTTP_PROXY": "http://127.0.0.1:3128"}, prefix=lab.prefix)


@scenario(
    "tcp.insecure",
    "plain http to a localhost that is another machine",
    "localhost is 198.51.100.10",
    "nothing was sent",
    hint=("https://localhost",),
)
async def localhost_is_another_machine(stage: Stage) -> Case:
    """http://localhost, which /etc/hosts leads to another machine"""
    lab = await stage.lab(f"{BRAIN_IP}/24")
    brain = await stage.brain()
    await lab.forward(BRAIN_IP, 7700, brain.port)
    await lab.file("/etc/hosts", f"{BRAIN_IP} localhost\n")
    return Case(stage.settings(brain, "http://localhost:7700"), prefix=lab.prefix)
