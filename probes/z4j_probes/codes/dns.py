"""The codes of the `dns` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.result import Status, Step

CODES = (
    Code("dns.ok", "the host that will be dialled resolves", status=Status.PASS),
    Code("dns.literal", "the URL names an address, so that nothing has to be resolved", status=Status.PASS),
    Code(
        "dns.nxdomain",
        "the name does not exist: the name servers say NXDOMAIN",
        causes=(
            "a misspelt host in Z4J_BRAIN_URL",
            "a record that was never made, or not yet where this machine asks",
            "a name of another network (split horizon, a VPN that is down)",
            "a Kubernetes or Compose service name, asked outside its namespace or network",
        ),
        remedy="Compare the host in Z4J_BRAIN_URL with the record in your DNS zone, letter by letter",
    ),
    Code(
        "dns.no_address",
        "the name exists, but has no A or AAAA record",
        causes=(
            "a record of another type alone (TXT, MX, a CNAME to nothing)",
            "the zone's apex instead of the brain's own name",
            "a headless Kubernetes service without a ready pod",
        ),
        remedy="Add an A or AAAA record for the name, or correct the name in Z4J_BRAIN_URL",
    ),
    Code(
        "dns.timeout",
        "no name server answered in time",
        causes=(
            "a firewall or network policy that drops port 53",
            "a name server in /etc/resolv.conf that is down or of another network",
            "a VPN that is down",
            "a name server that ignores AAAA queries",
        ),
        remedy=Step(
            "Open port 53 to the name servers in /etc/resolv.conf. See whether they answer", "dig NAME"
        ),
    ),
    Code(
        "dns.servfail",
        "a name server could not answer (SERVFAIL)",
        causes=(
            "the zone's own servers are down or misconfigured",
            "DNSSEC validation failed (an expired signature, a wrong DS record)",
            "a CNAME that goes round in circles",
        ),
        remedy=Step(
            "Ask without DNSSEC: if that answers, fix DNSSEC, and else the zone's own servers", "dig +cd NAME"
        ),
    ),
    Code(
        "dns.refused",
        "a name server refused to answer",
        causes=(
            "a name server that serves only its own zones, or only other networks",
            "an access list on the name server",
        ),
        remedy="Name a server that answers this machine in /etc/resolv.conf",
    ),
    Code(
        "dns.no_resolver",
        "this machine has no name server to ask",
        causes=(
            "/etc/resolv.conf is missing, empty, or not readable for this user",
            "a container or unit that was started with its own, empty network",
        ),
        remedy="Add a nameserver line to /etc/resolv.conf (containers: --dns, or dns: in Compose)",
    ),
    Code(
        "dns.invalid_name",
        "the host is no name that can be looked up",
        causes=(
            "two dots in a row, or a part of over 63 characters",
            "a template variable that was not filled in",
            "a character that no host name has",
        ),
        remedy="Write the host in Z4J_BRAIN_URL (or the proxy's) as it is registered",
    ),
    Code(
        "dns.local_only",
        "the name resolves on this machine alone; the DNS does not know it",
        status=Status.WARN,
        causes=(
            "an entry in /etc/hosts (extra_hosts, hostAliases)",
            "a domain of the search list that completes the name",
            "a local source such as mDNS or a directory service",
        ),
        remedy="Create a DNS record, or remove the name from /etc/hosts if it is left over from a test",
    ),
    Code(
        "dns.sinkhole",
        "the name resolves to nowhere, or to this machine, as a DNS filter answers",
        causes=(
            "a filtering resolver (Pi-hole, a company's or provider's filter) that blocks the name",
            "a placeholder record",
        ),
        remedy=(
            Step("Allow the name in the DNS filter"),
            Step(
                "If the brain runs on this machine, use http://localhost:PORT, or add the name to /etc/hosts"
            ),
        ),
    ),
    Code(
        "dns.system_failure",
        "the name servers answer, but this machine's own resolver does not",
        causes=(
            "the hosts: line of /etc/nsswitch.conf lacks dns",
            "a local cache (systemd-resolved, nscd, dnsmasq) that hangs or is stale",
            "a resolver library or configuration that is missing in a minimal image",
            "a process that is out of file descriptors",
        ),
        remedy=Step(
            "See where the system resolver and the name servers differ",
            "getent ahosts NAME; dig NAME; cat /etc/nsswitch.conf",
        ),
    ),
)
