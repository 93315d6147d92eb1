"""Addresses that another source than the DNS has made, and resolvers that are slow or half set up."""

from __future__ import annotations

from tests.faults.scenario import Case, healthy, scenario
from tests.faults.scenarios.dns import RESOLVER, case, lab_with_resolver
from tests.faults.stage import BRAIN_HOST, BRAIN_IP, OTHER_IP, Stage
from tests.support.certificates import issue
from tests.support.netlab import HOSTS, NetLab

# `qtype` of a query for brain.example.com, behind the headers of UDP and DNS and the name: 28 is AAAA.
_QTYPE = "@th,312,16"
_LOSE_THE_SECOND = (
    "udp dport 53 " + _QTYPE + " 1 add @asked { udp sport }",
    "udp dport 53 " + _QTYPE + " 28 udp sport @asked udp sport != @lost add @lost { udp sport } drop",
)


async def with_another_server(stage: Stage) -> tuple[NetLab, dict[str, str]]:
    """The brain where the DNS says, and another company's site at OTHER_IP."""
    lab, environ = await stage.lab_with_brain()
    await lab.shell(f"ip addr add {OTHER_IP}/24 dev eth0")
    other = await stage.tls_brain(issue(stage.root, "www.other.example"))
    await lab.forward(OTHER_IP, 443, other.port)
    return lab, environ


@scenario(
    "dns.slow",
    "one of two answers is lost at each look-up",
    "one answer was lost",
    "asked again after 5 s",
    hint=("single-request-reopen",),
    timeout_s=12.0,
)
async def an_answer_is_lost_at_each_look_up(stage: Stage) -> Case:
    """nftables drops the second of two queries from one port, as a NAT does; glibc asks again after 5 s"""
    lab, environ = await stage.lab_with_brain()
    await lab.file("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    sets = tuple(f"{name} {{ type inet_service; flags dynamic; }}" for name in ("asked", "lost"))
    # at arrival: a sender is told of what is dropped where it leaves
    await lab.firewall(*_LOSE_THE_SECOND, sets=sets, hook="input")
    return Case(environ, prefix=lab.prefix, words=(BRAIN_IP,))


@scenario(
    "dns.sinkhole",
    "a public name whose record is this machine, and a brain there",
    "127.0.0.1, which is this machine",
    hint=("if the brain runs elsewhere",),
    status="warn",
)
async def a_public_name_is_this_machine(stage: Stage) -> Case:
    """a record of 127.0.0.1 for brain.example.com, and a brain with its certificate here: it works"""
    lab = await stage.lab()
    brain = await stage.tls_brain(issue(stage.root, BRAIN_HOST))
    await lab.forward("127.0.0.1", 443, brain.port)
    await lab.dnsmasq(f"--host-record={BRAIN_HOST},127.0.0.1")
    await lab.resolver("127.0.0.1")
    environ = stage.settings(brain, f"https://{BRAIN_HOST}", Z4J_CA_FILE=stage.ca_file)
    return Case(environ, prefix=lab.prefix)


@scenario(
    "tcp.refused",
    "a DNS filter that answers 127.0.0.1",
    "127.0.0.1:443",
    "which is this machine, as a DNS filter answers",
    hint=("Allow the name in the DNS filter",),
)
async def a_filter_answers_with_this_machine(stage: Stage) -> Case:
    """dnsmasq answers 127.0.0.1 for the brain's name, and nothing listens on this machine"""
    return case(await lab_with_resolver(stage, f"--address=/{BRAIN_HOST}/127.0.0.1"))


@scenario(
    "tls.hostname_mismatch",
    "a stale address in /etc/hosts",
    "www.other.example",
    f"{BRAIN_HOST} is {OTHER_IP}, from /etc/hosts line 3; DNS says {BRAIN_IP}",
    hint=("grep -nw", "/etc/hosts"),
)
async def the_hosts_file_is_stale(stage: Stage) -> Case:
    """/etc/hosts has an address that another site got since; the DNS has the right one"""
    lab, environ = await with_another_server(stage)
    await lab.file("/etc/hosts", f"{HOSTS}{OTHER_IP} {BRAIN_HOST}\n")
    return Case(environ, prefix=lab.prefix)


@scenario(
    "dns.local_only",
    "an address in /etc/hosts that is not the DNS's",
    f"{BRAIN_HOST} is {BRAIN_IP}, from /etc/hosts line 3; DNS says {OTHER_IP}",
    hint=("grep -nw",),
)
async def the_hosts_file_differs_and_works(stage: Stage) -> Case:
    """/etc/hosts has the brain's address, and the DNS another one"""
    lab, environ = await stage.lab_with_brain()
    await lab.file("/etc/hosts", f"{HOSTS}{BRAIN_IP} {BRAIN_HOST}\n")
    await lab.address(f"{RESOLVER}/24", device="eth1")
    await lab.dnsmasq(f"--host-record={BRAIN_HOST},{OTHER_IP}", at=RESOLVER)
    await lab.resolver(RESOLVER)
    return Case(environ, prefix=lab.prefix)


@scenario(
    "tcp.refused",
    "the brain's name as this machine's own in /etc/hosts",
    f"{BRAIN_HOST} is 127.0.1.1, from /etc/hosts line 3; DNS says {BRAIN_IP}",
    hint=("/etc/hosts",),
)
async def the_hosts_file_has_the_machines_own_public_name(stage: Stage) -> Case:
    """`127.0.1.1 brain.example.com`, as cloud images write a host name that was set to the public one"""
    lab, environ = await stage.lab_with_brain()
    await lab.file("/etc/hosts", f"{HOSTS}127.0.1.1 {BRAIN_HOST}\n")
    return Case(environ, prefix=lab.prefix)


@scenario(
    "tls.hostname_mismatch",
    "a search list with a wildcard record, and ndots",
    f"from the search list, as {BRAIN_HOST}.corp.example; DNS says {BRAIN_IP}",
    hint=(f"{BRAIN_HOST}.", "ndots"),
)
async def the_search_list_has_a_wildcard(stage: Stage) -> Case:
    """`search corp.example`, `ndots:5`, and a record for everything in corp.example"""
    lab, environ = await with_another_server(stage)
    await lab.address(f"{RESOLVER}/24", device="eth1")
    options = (f"--host-record={BRAIN_HOST},{BRAIN_IP}", f"--address=/corp.example/{OTHER_IP}")
    await lab.dnsmasq(*options, at=RESOLVER)
    await lab.file("/etc/resolv.conf", f"nameserver {RESOLVER}\nsearch corp.example\noptions ndots:5\n")
    return Case(environ, prefix=lab.prefix)


@scenario(
    "dns.system_failure",
    "DNS over TCP by option, and TCP port 53 is blocked",
    BRAIN_IP,
    "use-vc",
    hint=("Remove the option use-vc", "dig +tcp"),
    timeout_s=3.0,
)
async def resolv_conf_asks_over_tcp(stage: Stage) -> Case:
    """`options use-vc`, and nftables drops TCP to port 53: the name server answers by UDP"""
    lab = await lab_with_resolver(stage, f"--host-record={BRAIN_HOST},{BRAIN_IP}")
    await lab.file("/etc/resolv.conf", f"nameserver {RESOLVER}\noptions use-vc timeout:1 attempts:1\n")
    await lab.firewall("tcp dport 53 drop")
    return case(lab)


@scenario(
    "dns.system_failure",
    "nsswitch.conf ends each look-up before the DNS is asked",
    BRAIN_IP,
    "[NOTFOUND=return]",
    hint=("Remove [NOTFOUND=return]",),
)
async def nsswitch_stops_before_dns(stage: Stage) -> Case:
    """`hosts: files [NOTFOUND=return] dns`: dns stands there, and is never asked"""
    lab = await lab_with_resolver(stage, f"--host-record={BRAIN_HOST},{BRAIN_IP}")
    await lab.file("/etc/nsswitch.conf", "hosts: files [NOTFOUND=return] dns\n")
    return case(lab)


@scenario(
    "dns.timeout",
    "the stub of systemd-resolved in a container",
    "127.0.0.53",
    "did not answer",
    hint=("systemd-resolved", "--dns"),
)
async def the_stub_of_the_host_is_named_in_a_container(stage: Stage) -> Case:
    """resolv.conf names 127.0.0.53, as copied from a host, and nothing listens there"""
    lab = await stage.lab(f"{RESOLVER}/24")
    await lab.resolver("127.0.0.53")
    return case(lab)


@scenario(
    "dns.nxdomain",
    "an alias (CNAME) of a name that is gone",
    f"{BRAIN_HOST} is an alias (CNAME) of lb7.example.com",
    "does not exist",
    hint=("Correct the CNAME record", "dig"),
)
async def the_alias_dangles(stage: Stage) -> Case:
    """unbound serves a zone in which brain is a CNAME of a load balancer that was deleted"""
    lab = await stage.lab(f"{RESOLVER}/24")
    zone = stage.write(
        "example.com.zone",
        "example.com. 60 IN SOA ns.example.com. hostmaster.example.com. 1 60 60 60 60\n"
        f"example.com. 60 IN NS ns.example.com.\nns.example.com. 60 IN A {RESOLVER}\n"
        f"{BRAIN_HOST}. 60 IN CNAME lb7.example.com.\n",
    )
    await lab.unbound(
        f"local-zone: example.com. nodefault\nauth-zone:\n  name: example.com.\n  zonefile: {zone}\n"
        "  for-upstream: yes\n  for-downstream: no\n"
    )
    await lab.resolver("127.0.0.1")
    return case(lab)


@scenario(
    "dns.no_address",
    "a router with rebind protection",
    "is blocked by name server 127.0.0.1",
    hint=("rebind protection", "DNS filter"),
)
async def a_router_protects_from_rebinding(stage: Stage) -> Case:
    """the zone's dnsmasq has a private address; the one in resolv.conf keeps it back and says so"""
    lab = await lab_with_resolver(stage, f"--host-record={BRAIN_HOST},10.0.0.7", "--local=/example.com/")
    await lab.dnsmasq(f"--server={RESOLVER}", "--stop-dns-rebind")
    await lab.resolver("127.0.0.1")
    return case(lab)


@scenario(
    "dns.nxdomain",
    "host.docker.internal on Linux",
    "host.docker.internal",
    hint=("--add-host=host.docker.internal:host-gateway", "extra_hosts"),
)
async def dockers_host_on_linux(stage: Stage) -> Case:
    """https://host.docker.internal in a container on Linux, started without --add-host"""
    return case(await lab_with_resolver(stage, "--local=/internal/"), "host.docker.internal")


@scenario(
    "dns.nxdomain",
    "a .local name without mDNS",
    "brain.local",
    hint=("libnss-mdns",),
)
async def a_name_of_mdns(stage: Stage) -> Case:
    """https://brain.local, and no mDNS in nsswitch.conf"""
    return case(await lab_with_resolver(stage, "--local=/local/"), "brain.local")


@scenario(
    "dns.no_resolver",
    "localhost without /etc/hosts",
    "localhost",
    "/etc/hosts",
    hint=("127.0.0.1 localhost", "127.0.0.1 instead of localhost"),
)
async def there_is_no_hosts_file(stage: Stage) -> Case:
    """an image made from scratch: /etc/hosts and resolv.conf are empty, and the URL says localhost"""
    lab = await stage.lab()
    await lab.file("/etc/hosts", "")
    return case(lab, Z4J_BRAIN_URL="http://localhost:7700")


@healthy("a name with ß", "dns.ok", "tls.ok")
async def a_name_with_sharp_s(stage: Stage) -> Case:
    """https://straße.example, whose ASCII form is that of browsers (IDNA 2008), and not strasse.example"""
    name = "xn--strae-oqa.example"
    lab = await stage.lab(f"{BRAIN_IP}/24")
    brain = await stage.tls_brain(issue(stage.root, name))
    await lab.forward(BRAIN_IP, 443, brain.port)
    await lab.dnsmasq(f"--host-record={name},{BRAIN_IP}", f"--host-record=strasse.example,{OTHER_IP}")
    await lab.resolver("127.0.0.1")
    return Case(stage.settings(brain, "https://straße.example", Z4J_CA_FILE=stage.ca_file), prefix=lab.prefix)
