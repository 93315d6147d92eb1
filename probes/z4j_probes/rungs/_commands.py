"""Commands for hints: how a person sees what a probe saw, by the way that the probe went.

They can be pasted as they stand: with the CA file and the proxy that were used, quoted for a shell, and
without a secret (whoever has credentials for the proxy puts them in).
"""

from __future__ import annotations

import shlex

from z4j_probes.endpoint import Endpoint
from z4j_probes.proxy import Proxy

# In dash, too, whose `read` has no -s; and short, since a command is not wrapped.
_UNSEEN = "stty -echo;head -1;stty echo"


def ask_brain(endpoint: Endpoint, proxy: Proxy | None = None, ca_file: str | None = None) -> str:
    """Look at the page on which a brain says that it is well, and at who answers there."""
    trusting = f" --cacert {shlex.quote(ca_file)}" if ca_file and endpoint.secure else ""
    through = f" {_through(proxy)}" if proxy else ""
    return f"curl -i {shlex.quote(endpoint.health_url)} -m 5{trusting}{through}"


def ask_proxy(where: str, proxy: Proxy) -> str:
    """Have the proxy CONNECT to that host and port."""
    return f"curl -v {_through(proxy)} {shlex.quote(f'https://{where}')}"


def show_handshake(endpoint: Endpoint, proxy: Proxy | None = None, more: str = "") -> str | None:
    """The TLS handshake with the brain; None through a proxy that itself is spoken to in TLS."""
    if proxy is not None and proxy.secure:  # s_client knows no such thing
        return None
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    command = f"openssl s_client -connect {shlex.quote(f'{host}:{endpoint.port}')}"
    if not endpoint.address:
        command += f" -servername {endpoint.host}"
    if proxy is not None:
        command += f" -proxy {shlex.quote(proxy.authority)}"
        if proxy.authorization is not None:
            command += " -proxy_user USER -proxy_pass env:PROXY_PASSWORD"
    return f"{command}{more} </dev/null"


def type_variable(name: str) -> str:
    """Put a line that is typed unseen into a variable."""
    return f"export {name}=$({_UNSEEN})"


def type_file(path: str) -> str:
    """The same into a file."""
    return f"({_UNSEEN}) > {shlex.quote(path)}"


def _through(proxy: Proxy) -> str:
    credentials = " -U USER" if proxy.authorization is not None else ""
    address = f"{'https' if proxy.secure else 'http'}://{proxy.authority}"
    return f"-x {shlex.quote(address)}{credentials}"
