"""The codes of the `dns` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.portable import shell
from z4j_probes.portable.name_servers import hosts_file, where
from z4j_probes.portable.system import by_system, has_glibc
from z4j_probes.result import Status, Step

CODES = (
    Code("dns.ok", "the host name resolves", status=Status.PASS),
    Code("dns.literal", "the URL contains an address: no name to resolve", status=Status.PASS),
    Code(
        "dns.nxdomain",
        "name not found (NXDOMAIN)",
        causes=(
            "a misspelled host in Z4J_BRAIN_URL",
            "a record that was not created, or has not reached this machine's name server",
            "a name from another network (split horizon, a VPN that is down)",
            "a Kubernetes or Compose service name, asked outside its namespace or network",
        ),
        remedy="Compare the host in Z4J_BRAIN_URL with the record in your DNS zone, letter by letter",
    ),
    Code(
        "dns.no_address",
        "the name has no A or AAAA record",
        causes=(
            "only records of another type (TXT, MX, a dangling CNAME)",
            "the apex of the zone instead of the brain's name",
            "a headless Kubernetes service without a ready pod",
        ),
        remedy="Add an A or AAAA record for the name, or correct the name in Z4J_BRAIN_URL",
    ),
    Code(
        "dns.timeout",
        "DNS query timed out: no name server answered",
        causes=(
            "a firewall or network policy that drops port 53",
            f"a name server in {where()} that is down, or belongs to another network",
            "a VPN that is down",
            "a name server that ignores AAAA queries",
        ),
        remedy=Step(
            f"Allow port 53 to the name servers in {where()}. Check whether they answer",
            shell.ask_dns("NAME"),
        ),
    ),
    Code(
        "dns.servfail",
        "the name server failed (SERVFAIL)",
        causes=(
            "the zone's own servers are down or misconfigured",
            "DNSSEC validation failed (an expired signature, a wrong DS record)",
            "a CNAME loop",
        ),
        remedy=Step(
            "Ask without DNSSEC validation. If it answers, fix DNSSEC; if not, the servers of the zone",
            shell.ask_dns("NAME", options="+cd"),
        ),
    ),
    Code(
        "dns.refused",
        "the name server refused to answer (REFUSED)",
        causes=(
            "a name server that serves only its own zones, or only other networks",
            "an access list on the name server",
        ),
        remedy=f"Set a nameserver in {where()} that answers this machine",
    ),
    Code(
        "dns.no_resolver",
        "no name server is configured on this machine",
        causes=(
            by_system(
                "/etc/resolv.conf is missing, empty, or not readable for this user",
                "no network service is active",
                "no network adapter is connected",
            ),
            "a container or unit that was started with its own, empty network",
        ),
        remedy=by_system(
            "Add a nameserver line to /etc/resolv.conf (containers: --dns, or dns: in Compose)",
            "Connect to a network, or set its DNS servers in System Settings",
            "Connect to a network, or set DNS servers in the network adapter's settings",
        ),
    ),
    Code(
        "dns.invalid_name",
        "the host is not a valid host name",
        causes=(
            "two dots in a row, or a part of over 63 characters",
            "a template variable that was not replaced",
            "a character that is not allowed in a host name",
        ),
        remedy="Correct the host in Z4J_BRAIN_URL (or in the proxy's URL)",
    ),
    Code(
        "dns.local_only",
        "the name is known only to this machine, not to DNS",
        status=Status.WARN,
        causes=(
            f"an entry in {hosts_file()} (extra_hosts, hostAliases)",
            "a domain of the search list that was appended to the name",
            "a local source such as mDNS or a directory service",
        ),
        remedy=f"Create a DNS record, or remove the name from {hosts_file()} if it is left over from a test",
    ),
    Code(
        "dns.sinkhole",
        "the name resolves to a sinkhole: blocked by a DNS filter?",
        causes=(
            "a filtering resolver (Pi-hole, a company's or provider's filter) that blocks the name",
            "a placeholder record",
        ),
        remedy=(
            Step("Allow the name in the DNS filter"),
            Step(
                "If the brain runs on this machine, use http://localhost:PORT, or add the name to "
                f"{hosts_file()}"
            ),
        ),
    ),
    Code(
        "dns.system_failure",
        "the system resolver fails, but the name servers answer",
        causes=(
            *(("the hosts: line of /etc/nsswitch.conf lacks dns",) if has_glibc() else ()),
            "a local cache (systemd-resolved, nscd, dnsmasq) that hangs or is stale",
            "a resolver library or configuration that is missing in a minimal image",
            "a process without free file descriptors",
        ),
        remedy=Step(
            "Compare the system resolver with the name servers",
            shell.compare_resolvers("NAME", catalogue=True),
        ),
    ),
)
