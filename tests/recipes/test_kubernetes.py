"""The manifest of the page: valid for Kubernetes, with probes that mean what its kubelet makes of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import cli
from tests.support.agents import closed_port
from tests.support.ladders import SECRET, TOKEN
from tests.support.recipes import document
from z4j_fastapi import Z4JAgent
from z4j_fastapi.devbrain import DevBrain
from z4j_fastapi.health import health_app

kubernetes_validate = pytest.importorskip(
    "kubernetes_validate", reason="kubernetes-validate is not installed: run `make setup`"
)


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = document("Kubernetes")["spec"]["template"]["spec"]
    return spec


def test_the_manifest_is_valid() -> None:
    manifest = document("Kubernetes")
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    manifest["spec"]["template"]["spec"]["containers"][0]["volumeMount"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_each_container_can_write_its_buffer_and_read_its_secrets() -> None:
    volumes = {volume["name"] for volume in pod()["volumes"]}
    for container in (*pod()["initContainers"], *pod()["containers"]):
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert mounts.keys() == volumes
        assert container["securityContext"]["readOnlyRootFilesystem"], "so that a forgotten mount is noticed"
        paths = [v["value"] for v in container["env"] if v["name"].endswith(("_FILE", "_HOME"))]
        assert len(paths) == 3
        assert all(path.startswith(tuple(f"{place}/" for place in mounts.values())) for path in paths)


async def test_no_probe_restarts_a_service_whose_brain_is_away(tmp_path: Path) -> None:
    (container,) = pod()["containers"]
    paths = {container[kind]["httpGet"]["path"] for kind in ("startupProbe", "livenessProbe")}
    with closed_port() as port:
        url = f"http://127.0.0.1:{port}"
        async with Z4JAgent(brain_url=url, token=TOKEN, hmac_secret=SECRET, home=tmp_path) as agent:
            app = health_app(lambda: agent)
            transport = httpx.ASGITransport(app, client=("10.0.0.1", 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://pod") as kubelet:
                answers = {
                    path: (await kubelet.get(path.removeprefix("/z4j"))).status_code
                    for path in (*paths, "/z4j/ready")
                }
    assert answers == {"/z4j/live": 200, "/z4j/ready": 503}


@pytest.mark.component
async def test_the_init_container_passes_where_its_volumes_are(tmp_path: Path) -> None:
    (init,) = pod()["initContainers"]
    assert init["command"][:3] == ["python", "-m", "z4j_fastapi"]
    async with DevBrain() as brain:
        minted = brain.mint("my-service")
        (tmp_path / "token").write_text(minted.token)
        (tmp_path / "hmac-secret").write_text(minted.hmac_secret)
        places = {
            "/run/secrets/z4j": str(tmp_path),
            "/state": str(tmp_path),
            "https://brain.example": brain.url,
        }
        environ = {}
        for variable in init["env"]:
            value = variable["value"]
            for there, here in places.items():
                value = value.replace(there, here)
            environ[variable["name"]] = value
        done = await asyncio.to_thread(cli.run, *init["command"][3:], home=Path("/nonexistent"), env=environ)
    assert done.returncode == 0, done.stdout
    assert "warning" not in done.stdout
    assert (tmp_path / "z4j").is_dir()
