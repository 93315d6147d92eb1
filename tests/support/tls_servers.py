"""Servers that speak TLS on loopback, each with its own context, and note what they were told."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

# Nobody waits this long: it only keeps a test that has gone wrong from hanging.
PATIENCE_S = 10.0


@dataclass
class TlsServer:
    """A blocking server: OpenSSL's own, which sends its alerts. `heard` has what came over TLS."""

    port: int
    heard: list[bytes] = field(default_factory=list)

    def url(self, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}"


@contextlib.contextmanager
def tls_server(context: ssl.SSLContext, *, answer: bytes = b"") -> Iterator[TlsServer]:
    """Serve this context on a port of the system's choice; say `answer` to the first thing that is said."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)
    server = TlsServer(listener.getsockname()[1])
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    def serve(connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_S)
        with (
            contextlib.suppress(OSError),
            connection,
            context.wrap_socket(connection, server_side=True) as tls,
        ):
            said = tls.recv(65536)
            if said:
                server.heard.append(said)
                tls.sendall(answer)

    threads.append(threading.Thread(target=accept))
    threads[0].start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in threads:
            thread.join()
