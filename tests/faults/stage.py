"""The stage on which one scenario is set: its directory, its brain, its servers, all ended with it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from tests.support.brain_api import BrainApi
from tests.support.certificates import Issued, authority, issue, server_context
from tests.support.http_peers import Behaviour, Peer, peer
from tests.support.netlab import NetLab
from tests.support.nginx import UPGRADE, Nginx, certificate_lines
from z4j_fastapi.devbrain import Credentials, DevBrain, Misbehaviour

BRAIN_HOST = "brain.example.com"
BRAIN_IP, BRAIN_IP6 = "198.51.100.10", "2001:db8::10"
OTHER_IP = "198.51.100.99"


class Stage:
    """What scenarios are made of. Everything ends with `stack`."""

    def __init__(self, directory: Path, stack: AsyncExitStack, real_brain: Callable[[], BrainApi]) -> None:
        self.directory = directory
        self.home = directory / "home"
        self.home.mkdir()
        self.stack = stack
        self.real_brain = real_brain
        self.agent: Credentials | None = None
        self._root: Issued | None = None

    @property
    def root(self) -> Issued:
        """A private authority."""
        if self._root is None:
            self._root = authority("Corp Root CA", organization="Corp")
        return self._root

    @property
    def ca_file(self) -> str:
        """Its root certificate, as a file."""
        return self.root.save(self.directory / "corp-root.pem")

    def write(self, name: str, text: str | bytes, mode: int = 0o644) -> str:
        """A file of that mode in the stage's directory; its path."""
        path = self.directory / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return str(path)

    async def brain(
        self, misbehaviour: Misbehaviour | None = None, *, tls: ssl.SSLContext | None = None, prefix: str = ""
    ) -> DevBrain:
        """An embedded brain that does this wrong, or nothing."""
        brain = DevBrain(misbehaviour=misbehaviour, ssl_context=tls, path_prefix=prefix)
        return await self.stack.enter_async_context(brain)

    def settings(self, brain: DevBrain, url: str | None = None, **more: str) -> dict[str, str]:
        """The variables with which a process is an agent of this brain, seen at `url`."""
        self.agent = self.agent or brain.mint("web-1")
        environ = brain.environment(self.agent)
        return environ | ({"Z4J_BRAIN_URL": url} if url else {}) | more

    def real_settings(self, url: str | None = None, **more: str) -> dict[str, str]:
        """The same for a fresh agent of the real brain."""
        api = self.real_brain()
        agent = api.mint()
        environ = {
            "Z4J_BRAIN_URL": url or api.url,
            "Z4J_TOKEN": agent.token,
            "Z4J_HMAC_SECRET": agent.hmac_secret,
            "Z4J_AGENT_NAME": agent.name,
        }
        return environ | more

    async def tls_brain(
        self, leaf: Issued | None = None, *, chain: tuple[Issued, ...] | None = None
    ) -> DevBrain:
        """A brain with this certificate; with one for localhost that is in order where none is given."""
        leaf = leaf or issue(self.root, "localhost")
        return await self.brain(tls=server_context(leaf, chain=chain))

    async def nginx(self, site: str, *, listen: str = "", http: str = "") -> Nginx:
        """nginx with these lines in its one site."""
        server = Nginx(self.directory / "nginx")
        await server.start(site, listen=listen, http=http)
        self.stack.push_async_callback(server.stop)
        return server

    async def tls_nginx(
        self, brain_port: int, leaf: Issued, *, more: str = "", chain: tuple[Issued, ...] | None = None
    ) -> Nginx:
        """nginx that ends TLS with this certificate before a brain."""
        site = certificate_lines(self.directory, leaf, chain=chain) + more
        site += f"location / {{ proxy_pass http://127.0.0.1:{brain_port}; {UPGRADE} }}"
        return await self.nginx(site, listen="ssl")

    async def peer(self, behaviour: Behaviour, *, tls: ssl.SSLContext | None = None) -> Peer:
        """A peer of one behaviour."""
        return await self.stack.enter_async_context(peer(behaviour, tls=tls))

    async def lab(self, *addresses: str) -> NetLab:
        """A network of its own, with an interface that has these addresses."""
        lab = await NetLab.start(self.directory / "lab")
        self.stack.push_async_callback(lab.close)
        if addresses:
            await lab.address(*addresses)
        return lab

    async def lab_with_brain(self, *addresses: str, port: int = 443) -> tuple[NetLab, dict[str, str]]:
        """A lab in which `brain.example.com` serves TLS at these addresses; dnsmasq knows it by them."""
        addresses = addresses or (BRAIN_IP,)
        lab = await self.lab(*(f"{a}/64" if ":" in a else f"{a}/24" for a in addresses))
        brain = await self.tls_brain(issue(self.root, BRAIN_HOST))
        for address in addresses:
            await lab.forward(address, port, brain.port)
        await lab.dnsmasq(*(f"--host-record={BRAIN_HOST},{address}" for address in addresses))
        await lab.resolver("127.0.0.1")
        suffix = "" if port == 443 else f":{port}"
        return lab, self.settings(brain, f"https://{BRAIN_HOST}{suffix}", Z4J_CA_FILE=self.ca_file)


__all__ = ["BRAIN_HOST", "BRAIN_IP", "BRAIN_IP6", "OTHER_IP", "UPGRADE", "Stage"]
