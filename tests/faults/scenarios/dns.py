"""Names that do not resolve, or resolve to the wrong place: real name servers on a network of their own."""

from __future__ import annotations

from tests.faults.scenario import Case, scenario
from tests.faults.stage import BRAIN_HOST, BRAIN_IP, Stage
from tests.support.ladders import SECRET, TOKEN
from tests.support.netlab import HOSTS, NetLab

RESOLVER = "192.0.2.53"


def case(lab: NetLab, host: str = BRAIN_HOST, **more: str) -> Case:
    """A doctor in the lab whose brain has this name."""
    return Case(
        {"Z4J_BRAIN_URL": f"https://{host}", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET, **more},
        prefix=lab.prefix,
    )


async def lab_with_resolver(stage: Stage, *options: str) -> NetLab:
    """dnsmasq at 192.0.2.53, in resolv.conf."""
    lab = await stage.lab(f"{RESOLVER}/24")
    await lab.dnsmasq(*options, at=RESOLVER)
    await lab.resolver(RESOLVER)
    return lab


@scenario("dns.nxdomain", "the name does not exist", BRAIN_HOST, "NXDOMAIN", RESOLVER)
async def the_name_does_not_exist(stage: Stage) -> Case:
    """dnsmasq answers NXDOMAIN"""
    return case(await lab_with_resolver(stage, "--local=/example.com/"))


@scenario(
    "dns.nxdomain",
    "a Kubernetes service name of another namespace",
    "brain.shop.svc.cluster.local",
    "NXDOMAIN",
    hint=("brain.NAMESPACE.svc",),
)
async def the_service_name_is_of_another_namespace(stage: Stage) -> Case:
    """a single label with a search list, as in Kubernetes; dnsmasq knows neither form"""
    lab = await lab_with_resolver(stage, "--local=/#/")
    await lab.resolver(RESOLVER, search="shop.svc.cluster.local")
    return case(lab, "brain")


@scenario("dns.no_address", "a name without A and AAAA records", BRAIN_HOST, "no A or AAAA record", RESOLVER)
async def the_name_has_only_a_txt_record(stage: Stage) -> Case:
    """dnsmasq knows a TXT record of the name and nothing else"""
    return case(await lab_with_resolver(stage, "--local=/example.com/", f"--txt-record={BRAIN_HOST},v=1"))


@scenario(
    "dns.timeout",
    "a firewall that drops DNS queries",
    RESOLVER,
    "did not answer",
    hint=("port 53", RESOLVER),
    timeout_s=3.0,
)
async def port_53_is_dropped(stage: Stage) -> Case:
    """an nftables rule drops what goes to port 53"""
    lab = await lab_with_resolver(stage)
    await lab.firewall("udp dport 53 drop", "tcp dport 53 drop")
    return case(lab)


@scenario(
    "dns.timeout",
    "a name server that is not there",
    "192.0.2.77",
    "did not answer",
    hint=("192.0.2.77",),
    timeout_s=3.0,
)
async def the_name_server_is_of_another_network(stage: Stage) -> Case:
    """resolv.conf names an address where no machine is, as after a VPN went down"""
    lab = await stage.lab(f"{RESOLVER}/24")
    await lab.resolver("192.0.2.77")
    return case(lab)


@scenario("dns.timeout", "nothing listens at the name server's port", "127.0.0.1", "did not answer")
async def nothing_listens_on_port_53(stage: Stage) -> Case:
    """resolv.conf names 127.0.0.1, and the local resolver is not running"""
    lab = await stage.lab(f"{RESOLVER}/24")
    await lab.resolver("127.0.0.1")
    return case(lab)


@scenario("dns.timeout", "truncated answers, and DNS over TCP is blocked", RESOLVER, timeout_s=3.0)
async def long_answers_are_lost(stage: Stage) -> Case:
    """60 addresses do not fit into a datagram, and nftables drops the TCP in which they would come"""
    many = [f"--host-record={BRAIN_HOST},203.0.113.{number}" for number in range(1, 120)]
    lab = await lab_with_resolver(stage, "--edns-packet-max=512", *many)
    await lab.firewall("tcp dport 53 drop")
    return case(lab)


@scenario("dns.servfail", "DNSSEC does not validate", BRAIN_HOST, "SERVFAIL", "127.0.0.1", hint=("dig +cd",))
async def dnssec_does_not_validate(stage: Stage) -> Case:
    """unbound has a trust anchor for the zone, and dnsmasq behind it signs nothing"""
    lab = await stage.lab(f"{RESOLVER}/24")
    await lab.dnsmasq(f"--host-record={BRAIN_HOST},{BRAIN_IP}", "--local=/example.com/", at=RESOLVER)
    anchor = "example.com. DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
    forward = f"forward-zone:\n  name: .\n  forward-addr: {RESOLVER}\n"
    await lab.unbound(f'module-config: "validator iterator"\n  trust-anchor: "{anchor}"\n{forward}')
    await lab.resolver("127.0.0.1")
    return case(lab)


@scenario("dns.refused", "a name server that refuses to look further", BRAIN_HOST, "REFUSED", RESOLVER)
async def the_name_server_refuses(stage: Stage) -> Case:
    """dnsmasq without a server to forward to, as one that serves only its own zones"""
    return case(await lab_with_resolver(stage))


@scenario("dns.refused", "a name server whose access list excludes this machine", "REFUSED", "127.0.0.1")
async def the_name_server_has_an_access_list(stage: Stage) -> Case:
    """unbound with `access-control: 127.0.0.0/8 refuse`"""
    lab = await stage.lab(f"{RESOLVER}/24")
    await lab.unbound("access-control: 127.0.0.0/8 refuse", at="127.0.0.1")
    await lab.resolver("127.0.0.1")
    return case(lab)


@scenario("dns.servfail", "a CNAME loop", BRAIN_HOST)
async def the_aliases_go_in_a_circle(stage: Stage) -> Case:
    """unbound serves a zone in which brain and www are aliases of each other"""
    lab = await stage.lab(f"{RESOLVER}/24")
    zone = stage.write(
        "example.com.zone",
        "example.com. 60 IN SOA ns.example.com. hostmaster.example.com. 1 60 60 60 60\n"
        f"example.com. 60 IN NS ns.example.com.\nns.example.com. 60 IN A {RESOLVER}\n"
        f"{BRAIN_HOST}. 60 IN CNAME www.example.com.\nwww.example.com. 60 IN CNAME {BRAIN_HOST}.\n",
    )
    await lab.unbound(
        f"local-zone: example.com. nodefault\nauth-zone:\n  name: example.com.\n  zonefile: {zone}\n"
        "  for-upstream: yes\n  for-downstream: no\n"
    )
    await lab.resolver("127.0.0.1")
    return case(lab)


@scenario(
    "dns.no_resolver",
    "no name server in /etc/resolv.conf",
    BRAIN_HOST,
    "/etc/resolv.conf names no name server",
    hint=("--dns",),
)
async def resolv_conf_is_empty(stage: Stage) -> Case:
    """an empty /etc/resolv.conf, as in a container that was started with its own network"""
    return case(await stage.lab(f"{RESOLVER}/24"))


@scenario("dns.invalid_name", "a host name with two dots in a row", "brain..example.com", "two dots in a row")
async def the_name_has_two_dots_in_a_row(stage: Stage) -> Case:
    """https://brain..example.com: Python raises UnicodeError, and not OSError"""
    return Case(
        {"Z4J_BRAIN_URL": "https://brain..example.com", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    )


@scenario(
    "dns.invalid_name", "a host name with a label over 63 characters", "has 70 characters, 63 are allowed"
)
async def a_label_is_too_long(stage: Stage) -> Case:
    """a generated name of 70 characters"""
    return Case(
        {"Z4J_BRAIN_URL": f"https://{'b' * 70}.example.com", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    )


@scenario("dns.invalid_name", "a host name with a variable that is not filled in", "${brain_host}")
async def the_name_is_a_template(stage: Stage) -> Case:
    """https://${BRAIN_HOST} in an env file, which expands nothing"""
    return Case({"Z4J_BRAIN_URL": "https://${BRAIN_HOST}", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET})


@scenario("dns.local_only", "only /etc/hosts knows the name", BRAIN_HOST, "/etc/hosts", "NXDOMAIN")
async def only_the_hosts_file_knows_the_name(stage: Stage) -> Case:
    """an entry of /etc/hosts that is left over; the DNS says NXDOMAIN, and all works on this machine"""
    lab, environ = await stage.lab_with_brain()
    await lab.file("/etc/hosts", f"{HOSTS}{BRAIN_IP} {BRAIN_HOST}\n")
    await lab.address(f"{RESOLVER}/24", device="eth1")
    await lab.dnsmasq("--local=/example.com/", at=RESOLVER)
    await lab.resolver(RESOLVER)
    return Case(environ, prefix=lab.prefix, words=(BRAIN_IP,))


@scenario("dns.sinkhole", "a DNS filter that answers 0.0.0.0", BRAIN_HOST, "0.0.0.0")
async def a_filter_blocks_the_name(stage: Stage) -> Case:
    """dnsmasq answers 0.0.0.0 and ::, as Pi-hole does; a server on this machine would get the connection"""
    return case(
        await lab_with_resolver(stage, f"--address=/{BRAIN_HOST}/0.0.0.0", f"--address=/{BRAIN_HOST}/::")
    )


@scenario("tcp.refused", "a resolver that gives one address for every name", "which is this machine")
async def a_resolver_answers_for_every_name(stage: Stage) -> Case:
    """dnsmasq with --address=/#/127.0.0.1, as in a captive network"""
    return case(await lab_with_resolver(stage, "--address=/#/127.0.0.1"))


@scenario(
    "dns.system_failure",
    "the C library does not ask the DNS",
    BRAIN_HOST,
    BRAIN_IP,
    "the system resolver",
    hint=("getent ahosts", "nsswitch.conf"),
)
async def nsswitch_lacks_dns(stage: Stage) -> Case:
    """`hosts: files` in /etc/nsswitch.conf: the name servers answer and are not asked"""
    lab = await lab_with_resolver(stage, f"--host-record={BRAIN_HOST},{BRAIN_IP}")
    await lab.file("/etc/nsswitch.conf", "hosts: files\n")
    return case(lab)


@scenario(
    "dns.nxdomain",
    "the proxy's name does not exist",
    "the proxy of",
    "proxy.corp.example",
    "NXDOMAIN",
    hint=("HTTPS_PROXY", "NO_PROXY"),
)
async def the_proxys_name_does_not_exist(stage: Stage) -> Case:
    """HTTPS_PROXY names a host of another network; the brain's own name would resolve"""
    lab = await lab_with_resolver(stage, f"--host-record={BRAIN_HOST},{BRAIN_IP}", "--local=/example/")
    return case(lab, HTTPS_PROXY="http://proxy.corp.example:3128")
