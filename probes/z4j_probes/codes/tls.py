"""The codes of the `tls` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.portable import shell
from z4j_probes.portable.system import by_system
from z4j_probes.result import Status, Step

CODES = (
    Code("tls.ok", "the certificate is valid for this name, and trusted", status=Status.PASS),
    Code(
        "tls.not_used",
        "no TLS: the URL is plain http or ws",
        status=Status.SKIP,
        causes=("the brain is on this machine", "plaintext was allowed in code"),
        remedy="Use https:// when the brain is on another machine",
    ),
    Code(
        "tls.expired",
        "certificate expired",
        causes=(
            "automatic renewal stopped working",
            "the certificate was renewed, but the server was not reloaded",
            "the server still sends an old intermediate certificate",
        ),
        remedy="Renew the certificate where TLS ends (the brain's proxy), and reload that server",
    ),
    Code(
        "tls.not_yet_valid",
        "certificate not yet valid",
        causes=(
            "this machine's clock is slow",
            "the clock of the machine that issued the certificate is fast",
        ),
        remedy=Step("Compare this machine's clock with another's", shell.show_clock()),
    ),
    Code(
        "tls.hostname_mismatch",
        "the certificate is for another name (hostname mismatch)",
        causes=(
            "Z4J_BRAIN_URL has an alias or an address instead of the certificate's name",
            "the server has no site for this name, and its default site answered",
            "DNS or a proxy leads to another server",
        ),
        remedy="Use a name of the certificate in Z4J_BRAIN_URL, or issue a certificate for this name too",
    ),
    Code(
        "tls.self_signed",
        "self-signed certificate, not trusted",
        causes=(
            "a test or default certificate is still in place",
            "other machines trust it, and this one does not",
        ),
        remedy="Install a certificate from a CA, or set Z4J_CA_FILE to this certificate",
    ),
    Code(
        "tls.unknown_ca",
        "CA not trusted",
        causes=(
            "the brain's certificate comes from a private CA whose root is not installed here",
            "a TLS-inspecting proxy in between issues its own certificates",
            "Z4J_CA_FILE or SSL_CERT_FILE contains the root of another CA",
        ),
        remedy="Get the root certificate of the CA, and set Z4J_CA_FILE to its file",
    ),
    Code(
        "tls.incomplete_chain",
        "incomplete chain: the intermediate certificate is missing",
        causes=("the server is configured with cert.pem instead of fullchain.pem",),
        remedy="Configure the server with the full chain (leaf, then intermediates), and reload it",
    ),
    Code(
        "tls.protocol_version",
        "no TLS version or cipher in common",
        causes=("the server is limited to TLS 1.1 or older", "the server has no site for this name"),
        remedy="Enable TLS 1.2 and 1.3 with their default ciphers on the server",
    ),
    Code(
        "tls.not_tls",
        "the server does not speak TLS on this port",
        causes=("the URL is https, but the port is a plain HTTP one", "another service listens on that port"),
        remedy="Set the TLS port in Z4J_BRAIN_URL, or enable TLS on that port",
    ),
    Code(
        "tls.client_certificate",
        "a client certificate is required during the handshake (mTLS)",
        causes=("mutual TLS is enabled for the whole site", "an access gateway in front of the brain"),
        remedy="Exempt the agent's path from mutual TLS: agents authenticate with their token",
    ),
    Code(
        "tls.weak",
        "a key, signature, or cipher of the server is too weak",
        causes=("an RSA key under 2048 bits", "a SHA-1 signature", "an old server configuration"),
        remedy="Issue a new certificate with an ECDSA P-256 or RSA 2048 key, signed with SHA-256",
    ),
    Code(
        "tls.closed",
        "connection closed during the TLS handshake",
        causes=(
            "a firewall that inspects traffic drops connections to that name",
            "the load balancer has no healthy server behind it",
            "the server has no certificate for that name",
            "a server that expects the PROXY protocol, reached without its load balancer",
        ),
        remedy="Try from another network, and read the server's log at this time",
    ),
    Code(
        "tls.timeout",
        "TLS handshake timed out",
        causes=(
            "a firewall that drops packets after the connection",
            "the server is overloaded",
            "large packets are lost in between (MTU)",
        ),
        remedy=(
            Step("Try from another network"),
            Step("Check whether large packets arrive (MTU)", shell.ping_with(1400, "HOST")),
        ),
    ),
    Code(
        "tls.empty_trust_store",
        "the trust store is empty",
        causes=(
            "SSL_CERT_FILE names a file that does not exist (OpenSSL reports nothing)",
            "this user can't read the file",
        ),
        remedy="Unset SSL_CERT_FILE and SSL_CERT_DIR, or set them to a PEM bundle that exists",
    ),
    Code(
        "tls.wrong_purpose",
        "a certificate is not valid for this purpose",
        causes=(
            "a client certificate is installed on the server",
            "a certificate that is not a CA was used to issue another",
            "the CA may not issue for this name or at this depth",
        ),
        remedy="Issue a certificate with the extended key usage serverAuth, from a CA that can",
    ),
    Code(
        "tls.expiring_soon",
        "certificate expires soon",
        status=Status.WARN,
        causes=("automatic renewal stopped working",),
        remedy="Fix the automatic renewal before the certificate expires",
    ),
    Code(
        "tls.not_strict",
        "the certificates will be rejected by Python 3.13 and later",
        status=Status.WARN,
        causes=("a private CA without key identifiers or critical constraints",),
        remedy="Issue the private CA's certificates again, with the extensions of RFC 5280 §4.2.1",
    ),
    Code(
        "tls.clock_suspect",
        "clock skew: this machine judges the certificate wrongly",
        causes=(
            "this machine does not synchronize its time",
            "a virtual machine was resumed from a snapshot",
        ),
        remedy=Step(
            "Set this machine's clock" + by_system(" (with chrony: chronyc makestep)", "", ""),
            shell.set_clock(),
        ),
    ),
)
