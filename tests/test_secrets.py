"""Secrets reach no output: they are planted on every path, and searched for in all that comes out."""

from __future__ import annotations

import asyncio
import base64
import logging
import pickle
import traceback
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from arq.worker import create_worker
from fastapi import FastAPI
from taskiq import InMemoryBroker

from tests.support import cli
from tests.support.agents import closed_port
from z4j_fastapi import PreflightError, Z4JAgent, z4j_lifespan
from z4j_fastapi.devbrain import Close, DevBrain, Misbehaviour
from z4j_fastapi.reports import FORMATS
from z4j_fastapi.workers.arq import z4j_worker
from z4j_fastapi.workers.taskiq import Z4JMiddleware

pytestmark = pytest.mark.component

TOKEN = "tok-PLANTED-aaaa1111"
SECRET_BYTES = b"PLANTED-hmac-secret-of-32-bytes!"
SECRET = base64.urlsafe_b64encode(SECRET_BYTES).decode()
PROXY_PASSWORD = "PLANTED/proxy pass@word"
URL_PASSWORD = "PLANTED-url-password"

PROXY = f"http://proxyuser:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:1"
PLANTED = [
    TOKEN,
    SECRET,
    SECRET_BYTES.decode(),
    PROXY_PASSWORD,
    quote(PROXY_PASSWORD, safe=""),
    base64.b64encode(f"proxyuser:{PROXY_PASSWORD}".encode()).decode(),
    URL_PASSWORD,
    "PLANTED",
]

MALFORMED = {
    "token with a newline": {"Z4J_TOKEN": f"{TOKEN}\n"},
    "token with a newline inside": {"Z4J_TOKEN": f"{TOKEN[:8]}\n{TOKEN[8:]}"},
    "token in quotes": {"Z4J_TOKEN": f'"{TOKEN}"'},
    "token with the scheme": {"Z4J_TOKEN": f"Bearer {TOKEN}"},
    "token that is not ASCII": {"Z4J_TOKEN": f"{TOKEN}é"},
    "secret that is no base64": {"Z4J_HMAC_SECRET": f"{SECRET}!!"},
    "secret that is too short": {"Z4J_HMAC_SECRET": "PLANTED"},
    "password in the URL": {"Z4J_BRAIN_URL": f"https://user:{URL_PASSWORD}@brain.example"},
    "password in a broken URL": {"Z4J_BRAIN_URL": f"https://user:{URL_PASSWORD}@[brain:port/x"},
    "password in a URL without a scheme": {"Z4J_BRAIN_URL": f"user:{URL_PASSWORD}@brain.example"},
    "password in a URL with a slash": {"Z4J_BRAIN_URL": f"https://user:{URL_PASSWORD}/x@brain.example"},
    "token in the query": {"Z4J_BRAIN_URL": f"https://brain.example/?token={TOKEN}"},
    "token in the fragment": {"Z4J_BRAIN_URL": f"https://[brain.example/#{TOKEN}"},
    "proxy that refuses": {"Z4J_BRAIN_URL": "https://brain.example", "HTTPS_PROXY": PROXY},
    "proxy with another scheme": {
        "Z4J_BRAIN_URL": "https://brain.example",
        "ALL_PROXY": PROXY.replace("http://", "socks5://"),
    },
    "proxy without a port": {
        "Z4J_BRAIN_URL": "https://brain.example",
        "https_proxy": PROXY.replace(":1", ":none"),
    },
    "token for the name of its file": {"Z4J_TOKEN": "", "Z4J_TOKEN_FILE": TOKEN},
    "secret for the name of its file": {"Z4J_HMAC_SECRET": "", "Z4J_HMAC_SECRET_FILE": SECRET},
    "token for the URL": {"Z4J_BRAIN_URL": TOKEN, "Z4J_TOKEN": "https://brain.example"},
    "secret for the URL": {"Z4J_BRAIN_URL": SECRET},
    "token as the name of a variable": {"Z4J_TOKE": TOKEN},
    "secret as an unknown variable": {"Z4J_HMAC_SECRETS": SECRET},
}


def leaks(text: str) -> list[str]:
    return [secret for secret in PLANTED if secret in text]


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize("options", [("--json",), ("--verbose",)], ids=["json", "verbose"])
def test_a_malformed_setting_is_named_and_not_shown(
    tmp_path: Path, case: str, options: tuple[str, ...]
) -> None:
    env = {"Z4J_BRAIN_URL": "http://127.0.0.1:1", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    process = cli.run("doctor", "--timeout", "1", *options, home=tmp_path, env=env | MALFORMED[case])
    assert process.returncode == 1
    assert leaks(process.stdout + process.stderr) == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--token-file", TOKEN), "looks like the token itself"),
        (("--hmac-secret-file", SECRET), "looks like the secret itself"),
        (("--brain-url", TOKEN), "looks like a token or secret"),
    ],
)
def test_a_secret_in_the_wrong_place_is_named_and_in_no_bundle(
    tmp_path: Path, arguments: tuple[str, ...], named: str
) -> None:
    file = tmp_path / "bundle.zip"
    process = cli.run("doctor", "--offline", "--bundle", str(file), *arguments, home=tmp_path)
    assert named in " ".join(process.stdout.split())
    with zipfile.ZipFile(file) as bundle:
        texts = [bundle.read(name).decode() for name in bundle.namelist()]
    assert leaks("".join([process.stdout, process.stderr, *texts])) == []


@pytest.mark.parametrize("form", FORMATS)
async def test_no_format_shows_one(tmp_path: Path, form: str) -> None:
    async with DevBrain() as brain:
        env = {"Z4J_BRAIN_URL": brain.url, "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
        process = await asyncio.to_thread(
            cli.run, "doctor", "--format", form, "--verbose", home=tmp_path, env=env | {"HTTPS_PROXY": PROXY}
        )
    assert process.stdout
    assert leaks(process.stdout + process.stderr) == []


ECHOES = {
    "reply": lambda token: Misbehaviour(raw_hello_ack=f'{{"you_said": "{token}"}}'),
    "frame": lambda token: Misbehaviour(raw_hello_ack=f'{{"you_said": "{token} {SECRET}", "v": 2}}'),
    "close reason": lambda token: Misbehaviour(close_after_hello=Close(4400, f"bad {token}")),
    "late close reason": lambda token: Misbehaviour(close_at_first_signed=Close(4403, f"{token} {SECRET}")),
    "hello_ack": lambda token: Misbehaviour(hello_ack_changes={"brain_version": token, "session_id": SECRET}),
}


@pytest.mark.parametrize("echo", ECHOES)
async def test_a_brain_that_says_it_back_is_not_quoted(tmp_path: Path, echo: str) -> None:
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        brain.misbehaviour = ECHOES[echo](credentials.token)
        env = brain.environment(credentials) | {"Z4J_HMAC_SECRET": SECRET}
        process = await asyncio.to_thread(cli.run, "doctor", "--verbose", home=tmp_path, env=env)
    shown = process.stdout + process.stderr
    assert "[redacted]" in shown
    assert credentials.token not in shown
    assert SECRET not in shown


@pytest.mark.parametrize("name", ["--token", "--hmac-secret", "--password"])
def test_a_secret_on_the_command_line_is_refused_and_not_echoed(tmp_path: Path, name: str) -> None:
    process = cli.run("doctor", f"{name}={TOKEN}", home=tmp_path)
    assert process.returncode == 2
    assert leaks(process.stdout + process.stderr) == []
    process = cli.run("doctor", name, TOKEN, home=tmp_path)
    assert process.returncode == 2
    assert leaks(process.stdout + process.stderr) == []


async def test_an_agents_log_status_and_errors_show_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    shown = []
    with closed_port() as port:
        for url in (
            f"http://127.0.0.1:{port}",
            "https://brain.example",
            f"https://u:{URL_PASSWORD}@x.example",
        ):
            agent = Z4JAgent(
                brain_url=url, token=TOKEN, hmac_secret=SECRET, home=tmp_path, preflight="strict"
            )
            with pytest.raises(PreflightError) as caught:
                await agent.__aenter__()
            shown += [str(caught.value), repr(caught.value), repr(agent.settings), repr(vars(agent))]
            shown += [repr(agent.status), str(agent.status.to_dict())]
    async with DevBrain() as brain:
        credentials = brain.mint("web")
        async with Z4JAgent(
            brain_url=brain.url, token=credentials.token, hmac_secret=credentials.hmac_secret, home=tmp_path
        ) as agent:
            agent.emit("task.sent", task_id="1", kwargs={"password": "PLANTED"})
            await brain.wait_for_events(1)
            shown.append(repr(agent.status))
    log = [
        record.getMessage() for record in caplog.records if not record.name.startswith("z4j_fastapi.devbrain")
    ]
    everything = "\n".join([*shown, *log])
    assert leaks(everything) == []
    assert credentials.token not in everything
    assert credentials.hmac_secret not in everything


async def _preflight(**arguments: Any) -> None:
    async with z4j_lifespan(preflight="strict", **arguments)(FastAPI()):
        raise AssertionError("it has started")


async def _own_lifespan(**arguments: Any) -> None:
    @asynccontextmanager
    async def own(app: Any) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    async with z4j_lifespan(lifespan=own, preflight="off", **arguments)(FastAPI()):
        raise AssertionError("it has started")


async def _unknown_argument(**arguments: Any) -> None:
    async with z4j_lifespan(colour="blue", **arguments)(FastAPI()):
        raise AssertionError("it has started")


async def _worker(**arguments: Any) -> None:
    async def job(ctx: dict[str, Any]) -> None: ...

    given: dict[str, Any] = {"functions": [job], "handle_signals": False}
    settings = z4j_worker(preflight="strict", **arguments)(type("WorkerSettings", (), given))
    await create_worker(settings).async_run()


async def _broker(**arguments: Any) -> None:
    broker = InMemoryBroker().with_middlewares(Z4JMiddleware(preflight="strict", **arguments))
    await broker.startup()


@pytest.mark.parametrize("as_bytes", [False, True], ids=["text", "bytes"])
@pytest.mark.parametrize("fail", [_preflight, _own_lifespan, _unknown_argument, _worker, _broker])
async def test_no_frame_or_exception_that_an_error_tracker_sees_holds_one(
    tmp_path: Path, fail: Callable[..., Awaitable[None]], as_bytes: bool
) -> None:
    given: dict[str, Any] = {"token": TOKEN, "hmac_secret": SECRET}
    if as_bytes:
        given = {name: value.encode() for name, value in given.items()}
    with pytest.raises(Exception) as caught:
        await fail(brain_url=f"http://u:{URL_PASSWORD}@127.0.0.1:1", home=tmp_path, **given)
    assert not isinstance(caught.value, AssertionError)
    frames = [frame for frame, _ in traceback.walk_tb(caught.tb)]
    shown = [repr(frame.f_locals) for frame in frames if frame.f_code.co_filename != __file__]
    error: BaseException | None = caught.value
    while error is not None:
        shown.append(f"{error!r} {error} {vars(error)} {error.args}")
        error = error.__cause__ or error.__context__
    assert leaks("\n".join(shown)) == []


def test_settings_do_not_travel() -> None:
    agent = Z4JAgent(brain_url="http://127.0.0.1:1", token=TOKEN)
    with pytest.raises(TypeError):
        pickle.dumps(agent.settings.token)


def test_nothing_of_it_stays_in_the_state_directory(tmp_path: Path) -> None:
    env = {"Z4J_BRAIN_URL": "http://127.0.0.1:1", "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    cli.run("doctor", home=tmp_path, env=env)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == []
