"""How other programs (Python, OpenSSL, Node, curl) report the same faults: what people search for.

A text may stand at several codes, since other programs tell fewer faults apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

_UNVERIFIED = "CERTIFICATE_VERIFY_FAILED"

REPORTED_AS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "config.secret_unreadable": ("[Errno 13] Permission denied",),
        "buffer.unwritable": ("[Errno 13] Permission denied (EACCES)",),
        "buffer.not_a_directory": ("[Errno 20] Not a directory (ENOTDIR)",),
        "buffer.read_only": (
            "[Errno 30] Read-only file system (EROFS)",
            "attempt to write a readonly database",
        ),
        "buffer.disk_full": (
            "[Errno 28] No space left on device (ENOSPC)",
            "database or disk is full",
            "Disk quota exceeded (EDQUOT)",
        ),
        "buffer.corrupt": ("database disk image is malformed", "file is not a database"),
        "buffer.locked": ("database is locked",),
        "dns.nxdomain": (
            "socket.gaierror: [Errno -2] Name or service not known",
            "getaddrinfo failed (Windows: [Errno 11001])",
            "nodename nor servname provided, or not known (macOS)",
            "Could not resolve host",
            "getaddrinfo ENOTFOUND",
        ),
        "dns.no_address": (
            "socket.gaierror: [Errno -5] No address associated with hostname",
            "Name or service not known",
        ),
        "dns.timeout": (
            "socket.gaierror: [Errno -3] Temporary failure in name resolution",
            "getaddrinfo EAI_AGAIN",
        ),
        "dns.servfail": ("Temporary failure in name resolution", "getaddrinfo EAI_AGAIN"),
        "dns.refused": ("Temporary failure in name resolution",),
        "dns.no_resolver": ("Temporary failure in name resolution",),
        "dns.system_failure": ("Name or service not known", "Temporary failure in name resolution"),
        "tcp.refused": (
            "[Errno 111] Connection refused",
            "connect ECONNREFUSED",
            "[WinError 10061] No connection could be made because the target machine actively refused it",
        ),
        "tcp.timeout": (
            "[Errno 110] Connection timed out",
            "connect ETIMEDOUT",
            "[WinError 10060] A connection attempt failed",
        ),
        "tcp.unreachable": (
            "[Errno 101] Network is unreachable (ENETUNREACH)",
            "[Errno 113] No route to host (EHOSTUNREACH)",
            "[Errno 99] Cannot assign requested address (EADDRNOTAVAIL)",
        ),
        "tcp.reset": ("[Errno 104] Connection reset by peer (ECONNRESET)",),
        "tcp.blocked": (
            "[Errno 1] Operation not permitted (EPERM)",
            "[Errno 13] Permission denied (EACCES)",
        ),
        "tcp.no_descriptors": ("[Errno 24] Too many open files (EMFILE)",),
        "tcp.proxy_unreachable": ("Cannot connect to proxy", "Unable to connect to proxy"),
        "tcp.proxy_refused": (
            "Tunnel connection failed: 403 Forbidden",
            "Received HTTP code 403 from proxy after CONNECT",
        ),
        "tcp.proxy_auth": (
            "407 Proxy Authentication Required",
            "Tunnel connection failed: 407 Proxy Authentication Required",
        ),
        "tls.expired": (f"{_UNVERIFIED}: certificate has expired", "CERT_HAS_EXPIRED"),
        "tls.not_yet_valid": (f"{_UNVERIFIED}: certificate is not yet valid", "CERT_NOT_YET_VALID"),
        "tls.hostname_mismatch": (
            f"{_UNVERIFIED}: Hostname mismatch, certificate is not valid for 'brain.example'",
            f"{_UNVERIFIED}: IP address mismatch",
            "ERR_TLS_CERT_ALTNAME_INVALID",
            "SSL: no alternative certificate subject name matches target host name",
        ),
        "tls.self_signed": (
            f"{_UNVERIFIED}: self-signed certificate (older OpenSSL: self signed certificate)",
            "DEPTH_ZERO_SELF_SIGNED_CERT",
        ),
        "tls.unknown_ca": (
            f"{_UNVERIFIED}: self-signed certificate in certificate chain",
            f"{_UNVERIFIED}: unable to get local issuer certificate",
            "SSL certificate problem: unable to get local issuer certificate",
            "SELF_SIGNED_CERT_IN_CHAIN",
            "x509: certificate signed by unknown authority",
        ),
        "tls.incomplete_chain": (
            f"{_UNVERIFIED}: unable to get local issuer certificate",
            "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
            "unable to verify the first certificate",
        ),
        "tls.protocol_version": (
            "bad handshake",
            "TLSV1_ALERT_PROTOCOL_VERSION",
            "SSLV3_ALERT_HANDSHAKE_FAILURE",
            "UNSUPPORTED_PROTOCOL",
        ),
        "tls.not_tls": ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "EPROTO"),
        "tls.client_certificate": ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_BAD_CERTIFICATE"),
        "tls.weak": ("EE_KEY_TOO_SMALL", "CA_MD_TOO_WEAK", "DH_KEY_TOO_SMALL"),
        "tls.closed": (
            "UNEXPECTED_EOF_WHILE_READING: EOF occurred in violation of protocol",
            "bad handshake: SysCallError",
            "Client network socket disconnected before secure TLS connection was established",
        ),
        "tls.timeout": ("The handshake operation timed out",),
        "tls.empty_trust_store": (f"{_UNVERIFIED}: unable to get local issuer certificate",),
        "tls.wrong_purpose": (
            f"{_UNVERIFIED}: unsupported certificate purpose",
            f"{_UNVERIFIED}: invalid CA certificate",
        ),
        "tls.not_strict": (
            f"{_UNVERIFIED}: Missing Authority Key Identifier",
            f"{_UNVERIFIED}: Basic Constraints of CA cert not marked critical",
        ),
        "tls.clock_suspect": (
            f"{_UNVERIFIED}: certificate is not yet valid",
            f"{_UNVERIFIED}: certificate has expired",
        ),
        "websocket.not_found": ("server rejected WebSocket connection: HTTP 404", "404 Not Found"),
        "websocket.upgrade_stripped": ("426 Upgrade Required", "invalid Upgrade header"),
        "websocket.plain_answer": ("server rejected WebSocket connection: HTTP 200",),
        "websocket.redirect": ("301 Moved Permanently", "302 Found", "308 Permanent Redirect"),
        "websocket.bad_gateway": ("502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"),
        "websocket.forbidden": ("403 Forbidden",),
        "websocket.unauthorized": ("401 Unauthorized",),
        "websocket.host_rejected": ("400 Bad Request: Invalid host header", "421 Misdirected Request"),
        "websocket.rate_limited": ("429 Too Many Requests",),
        "websocket.tls_expected": ("400 The plain HTTP request was sent to HTTPS port",),
        "websocket.client_certificate": ("TLSV13_ALERT_CERTIFICATE_REQUIRED",),
        "websocket.not_http": ("did not receive a valid HTTP response", "Received HTTP/0.9 when not allowed"),
        "websocket.closed": ("Remote end closed connection without response", "Empty reply from server"),
        "websocket.bad_accept": ("invalid Sec-WebSocket-Accept header",),
        "auth.token_rejected": ("invalid token", "WebSocket close code 4401"),
        "signing.clock_skew": ("clock drift", "timestamp outside of the allowed window"),
        "worker.redis_unreachable": (
            "redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379. Connection refused.",
        ),
        "worker.import_failed": ("ModuleNotFoundError: No module named", "ImportError"),
    }
)
"""Texts by code. Numbers of errors are those of Linux."""


def codes_reported_as(text: str) -> Iterator[str]:
    """The codes of what another program reports with that text, or with a longer one that contains it."""
    said = " ".join(text.lower().split())
    for code, texts in REPORTED_AS.items():
        if said and any(said in known.lower() for known in texts):
            yield code
