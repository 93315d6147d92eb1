"""The codes of the `tls` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.result import Status, Step

CODES = (
    Code("tls.ok", "the brain's certificate verifies, for its name", status=Status.PASS),
    Code(
        "tls.not_used",
        "the brain's URL is plain ws:// or http://, so that there is no TLS",
        status=Status.SKIP,
        causes=("the brain is on this machine", "plaintext was allowed in code"),
        remedy="Use https:// as soon as the brain is on another machine",
    ),
    Code(
        "tls.expired",
        "the brain's certificate, or one that it depends on, has run out",
        causes=(
            "automatic renewal stopped working",
            "the certificate was renewed, but the server was not reloaded",
            "the server still sends an old intermediate certificate",
        ),
        remedy="Renew the certificate where TLS ends (the brain's proxy), and reload that server",
    ),
    Code(
        "tls.not_yet_valid",
        "the brain's certificate is not valid yet",
        causes=("this machine's clock is slow", "the certificate was made by a machine whose clock is fast"),
        remedy=Step("Compare this machine's clock with another's", "date -u; timedatectl"),
    ),
    Code(
        "tls.hostname_mismatch",
        "the certificate is for other names than the one that was dialled",
        causes=(
            "Z4J_BRAIN_URL has an alias or an address instead of the certificate's name",
            "the name has no site of its own, and the server's default one answers",
            "DNS or a proxy leads to another server",
        ),
        remedy="Use a name of the certificate in Z4J_BRAIN_URL, or issue a certificate for this name too",
    ),
    Code(
        "tls.self_signed",
        "the server's certificate is signed by itself, and nobody here trusts it",
        causes=("a test or default certificate is still in place", "it is trusted elsewhere, but not here"),
        remedy="Install a certificate from a CA, or name this certificate in Z4J_CA_FILE",
    ),
    Code(
        "tls.unknown_ca",
        "the certificate was issued by an authority that is in none of the trust stores",
        causes=(
            "the brain's certificate comes from a private CA whose root is not installed here",
            "a proxy that inspects TLS stands in between and issues certificates of its own",
            "Z4J_CA_FILE or SSL_CERT_FILE names another CA's root",
        ),
        remedy="Get the root certificate of that CA, and name it in Z4J_CA_FILE",
    ),
    Code(
        "tls.incomplete_chain",
        "the server does not send the intermediate certificate that links its own to a root",
        causes=("the server is configured with cert.pem where it needs fullchain.pem",),
        remedy="Configure the server with the full chain (leaf, then intermediates), and reload it",
    ),
    Code(
        "tls.protocol_version",
        "the server and this machine have no TLS version, cipher or protocol in common",
        causes=("the server is limited to TLS 1.1 or older", "the server has no site of that name"),
        remedy="Enable TLS 1.2 and 1.3 with their default ciphers on the server",
    ),
    Code(
        "tls.not_tls",
        "what listens there does not speak TLS",
        causes=("the URL is https, but the port is a plain HTTP one", "another service listens on that port"),
        remedy="Name the TLS port in Z4J_BRAIN_URL, or put TLS in front of that port",
    ),
    Code(
        "tls.client_certificate",
        "the server wants a certificate from this side too (mutual TLS)",
        causes=("mutual TLS is switched on for the whole site", "an access gateway stands before the brain"),
        remedy="Exempt the agent's path from mutual TLS: agents authenticate with their token",
    ),
    Code(
        "tls.weak",
        "a key, signature or cipher of the server is too weak to be accepted",
        causes=("an RSA key under 2048 bits", "a SHA-1 signature", "a server that was set up long ago"),
        remedy="Issue a new certificate with an ECDSA P-256 or RSA 2048 key, signed with SHA-256",
    ),
    Code(
        "tls.closed",
        "the connection was closed or reset during the TLS handshake",
        causes=(
            "a firewall that inspects traffic drops connections to that name",
            "the load balancer has no healthy server behind it",
            "the server has no certificate for that name",
        ),
        remedy="Try from another network, and read the server's log at this time",
    ),
    Code(
        "tls.timeout",
        "TCP connects, but the TLS handshake gets no answer",
        causes=(
            "a firewall drops what follows the connection",
            "the server is overloaded",
            "large packets are lost on the way (MTU)",
        ),
        remedy=(
            Step("Try from another network"),
            Step("See whether large packets arrive (MTU)", "ping -c 3 -M do -s 1400 HOST"),
        ),
    ),
    Code(
        "tls.empty_trust_store",
        "the trust store that was named holds no certificate, so that nothing can verify",
        causes=(
            "SSL_CERT_FILE names a file that is not there (OpenSSL says nothing about it)",
            "the file is there, but this user can't read it",
        ),
        remedy="Unset SSL_CERT_FILE and SSL_CERT_DIR, or set them to a PEM bundle that exists",
    ),
    Code(
        "tls.wrong_purpose",
        "a certificate of the chain is used for what it was not issued for",
        causes=(
            "a client certificate is installed on the server",
            "a certificate that is no CA was used to issue another",
            "the CA may not issue for that name or so many levels down",
        ),
        remedy="Issue a certificate with the extended key usage serverAuth, from a CA that can",
    ),
    Code(
        "tls.expiring_soon",
        "the certificate verifies, but runs out soon and should have been renewed",
        status=Status.WARN,
        causes=("automatic renewal stopped working",),
        remedy="Find out why the certificate is not renewed, while it is still valid",
    ),
    Code(
        "tls.not_strict",
        "the certificates break a rule that Python 3.13 and later insist on",
        status=Status.WARN,
        causes=("a private CA made by hand, without key identifiers or critical constraints",),
        remedy="Issue the private CA's certificates again, with the extensions of RFC 5280 §4.2.1",
    ),
    Code(
        "tls.clock_suspect",
        "the certificate is valid by the server's clock, but not by this machine's",
        causes=("time is not synchronised here", "a virtual machine was resumed from a snapshot"),
        remedy=Step(
            "Set this machine's clock (with chrony: chronyc makestep)", "sudo timedatectl set-ntp true"
        ),
    ),
)
