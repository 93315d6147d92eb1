"""The codes of the `tcp` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.portable import shell
from z4j_probes.result import Status, Step

CODES = (
    Code("tcp.ok", "the connection is accepted", status=Status.PASS),
    Code(
        "tcp.refused",
        "connection refused",
        causes=(
            "the brain, or the proxy in front of it, is not running",
            "the brain listens on another port than the one in Z4J_BRAIN_URL",
            "the brain listens only on its loopback address",
            "a container that connects to its own localhost instead of the brain's service name",
            "a firewall that rejects connections",
        ),
        remedy=Step(
            "Start the brain, or correct the port. On the brain's host, see what listens",
            shell.listening(),
        ),
    ),
    Code(
        "tcp.timeout",
        "connection timed out",
        causes=(
            "a firewall, security group, or network policy that drops packets",
            "an address that is no longer the brain's",
            "a host that is down",
            "a proxy that accepts connections and does not answer",
        ),
        remedy="Allow outgoing TCP to that address and port, and check that the address is the brain's",
    ),
    Code(
        "tcp.unreachable",
        "no route to the address (unreachable)",
        causes=(
            "no route, a network that is down, or a VPN that is not connected",
            "only an IPv6 address, on a machine without IPv6",
            "a firewall that rejects connections, on this machine or in between",
            "an IPv4 address only, on a machine with IPv6 only",
            "no local port left to connect from",
        ),
        remedy=(
            Step("See the route", shell.route("ADDRESS")),
            Step("Connect to the network or the VPN of the brain"),
        ),
    ),
    Code(
        "tcp.reset",
        "connection reset while connecting",
        causes=(
            "a firewall or proxy that cuts connections by its rules",
            "a load balancer without a healthy server behind it",
        ),
        remedy="Look for the reset in the logs of the firewall, proxy, or load balancer in between",
    ),
    Code(
        "tcp.blocked",
        "permission denied: this machine blocks the connection",
        causes=(
            "an outbound rule of the local firewall (nftables, iptables, a unit's IPAddressDeny=)",
            "a sandbox (seccomp, SELinux, AppArmor) or a network policy",
        ),
        remedy=Step(
            "Allow outgoing TCP to that address. See the rules, and the audit log",
            shell.firewall(),
        ),
    ),
    Code(
        "tcp.insecure",
        "the token would be sent unencrypted to another machine",
        causes=(
            "localhost, or a name under .localhost, that a hosts file or DNS leads to another machine",
            "http:// where https:// is meant",
        ),
        remedy=(
            Step("See which address the name has", shell.look_up("localhost")),
            Step("If the brain runs on this machine, correct that address. If not, use its https:// URL"),
        ),
    ),
    Code(
        "tcp.partial",
        "either IPv4 or IPv6 fails",
        status=Status.WARN,
        causes=(
            "IPv6 that is half configured: an address, but no route",
            "an AAAA record for a server that does not listen on IPv6",
            "a firewall rule for only one address family",
        ),
        remedy="Fix the family that fails, or remove its record: until then each connection waits for it",
    ),
    Code(
        "tcp.no_descriptors",
        "too many open files in this process",
        causes=(
            "a leak of connections or files in this process",
            "a limit that is too low for this service",
        ),
        remedy=(
            Step("Raise the limit (in a unit: LimitNOFILE=65536)", shell.more_files()),
            Step("If it is reached again, find the leak", shell.open_files()),
        ),
    ),
    Code(
        "tcp.proxy_unreachable",
        "can't connect to the HTTP proxy",
        causes=(
            "a proxy that is down, or another port",
            "HTTPS_PROXY left over from another network",
            "an https:// proxy URL for a proxy that does not speak TLS",
        ),
        remedy="Correct HTTPS_PROXY, or add the brain's host to NO_PROXY if no proxy is needed",
    ),
    Code(
        "tcp.proxy_refused",
        "the HTTP proxy refused a tunnel to the brain",
        causes=(
            "the brain's host or port is not on the proxy's allow list (403)",
            "the proxy can't reach or resolve the brain (502, 503, 504)",
            "the server is not a proxy",
        ),
        remedy="Allow the brain's host and port on the proxy, or add the host to NO_PROXY",
    ),
    Code(
        "tcp.proxy_auth",
        "proxy authentication required",
        causes=(
            "no user name and password in HTTPS_PROXY",
            "a password that was changed, or is not percent-encoded in the URL",
            "a proxy that takes only NTLM or Kerberos",
        ),
        remedy="Write the credentials, percent-encoded, into HTTPS_PROXY as http://USER:PASSWORD@HOST:PORT",
    ),
)
