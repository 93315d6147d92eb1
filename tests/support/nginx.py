"""nginx as it stands in front of a brain, set up right or wrong by the lines that a test gives it."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives import serialization

from tests.support.certificates import Issued
from tests.support.programs import Program, free_port, program

# What every administrator copies, and what a good half forgets.
UPGRADE = (
    "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; "
    "proxy_set_header Host $http_host;"
)


class Nginx:
    """A running nginx with one site on a port of its own; `configure` changes the site as a reload does."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._program: Program | None = None
        self.port = free_port()

    async def start(self, site: str, *, listen: str = "", http: str = "") -> None:
        """Serve `site` (lines of a server block); `listen` are parameters as `ssl`, `http` lines outside."""
        directory = self._directory
        directory.mkdir(exist_ok=True)
        configuration = directory / "nginx.conf"
        configuration.write_text(f"""
daemon off; master_process off; user root; pid {directory}/pid; error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off; client_body_temp_path {directory}/b; proxy_temp_path {directory}/p;
    fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
    {http}
    server {{ listen 127.0.0.1:{self.port} {listen}; {site} }}
}}""")
        self._program = await Program.start(
            directory / "log",
            program("nginx"),
            "-p",
            str(directory),
            "-e",
            "stderr",
            "-c",
            str(configuration),
        )
        await self._program.until_it_accepts("127.0.0.1", self.port)

    async def restart(self, site: str, *, listen: str = "", http: str = "") -> None:
        """The same port with another configuration."""
        await self.stop()
        await self.start(site, listen=listen, http=http)

    async def stop(self) -> None:
        """End it."""
        if self._program is not None:
            await self._program.stop()


def certificate_lines(directory: Path, leaf: Issued, *, chain: tuple[Issued, ...] | None = None) -> str:
    """The lines of a site that serve this certificate, with its intermediates or exactly `chain`."""
    sent = (leaf, *(leaf.intermediates if chain is None else chain))
    certificate, key = directory / "fullchain.pem", directory / "key.pem"
    certificate.write_bytes(b"".join(one.pem for one in sent))
    key.write_bytes(
        leaf.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return f"ssl_certificate {certificate}; ssl_certificate_key {key};"
