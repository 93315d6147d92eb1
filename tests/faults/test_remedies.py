"""Hints are remedies: whoever does what the hint says, with the values in it, has a green doctor."""

from __future__ import annotations

import asyncio
import os
import pty
import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from tests.faults.doctor import Said, ask_doctor
from tests.faults.scenario import SCENARIOS, Case
from tests.faults.scenarios import load
from tests.faults.scenarios.config import USER
from tests.faults.scenarios.proxy import PASSWORD
from tests.faults.stage import UPGRADE, Stage
from tests.support.certificates import authority, issue
from tests.support.ladders import TOKEN
from tests.support.nginx import Nginx, certificate_lines
from tests.support.programs import unavailable
from z4j_probes import Step

load()
pytestmark = pytest.mark.faults


Steps = list[Step]


async def test_chown_and_chmod_as_the_hint_says(stage: Stage) -> None:
    case, (own,) = await broken(stage, "the_state_directory_was_made_by_root")
    await run_as_root(own.command)
    await is_green(stage, case)


async def test_a_secret_file_made_readable_as_the_hint_says(stage: Stage) -> None:
    case, (allow, *_) = await broken(stage, "the_token_file_belongs_to_root")
    brain = await stage.brain()
    environ = stage.settings(brain, HOME="", Z4J_HOME=owned_directory(stage))
    path = stage.write("token", environ.pop("Z4J_TOKEN"), 0o600)
    assert path in allow.command
    await run_as_root(allow.command)
    await is_green(stage, replace(case, environ={**environ, "Z4J_TOKEN_FILE": path}))


async def test_a_state_directory_made_as_the_hint_says(stage: Stage) -> None:
    case, (create, use) = await broken(stage, "the_service_user_has_no_home")
    home = use.command.removeprefix("export Z4J_HOME=")
    here = f"{stage.directory}{home}"
    os.makedirs(os.path.dirname(here))
    await run_as_root(create.command.replace(home, here))
    await is_green(stage, replace(case, environ={**case.environ, "Z4J_HOME": here}))


async def test_a_ca_file_named_as_the_hint_says(stage: Stage) -> None:
    case, (get, name) = await broken(stage, "the_root_is_not_installed")
    assert 'Get the root certificate of "Corp Root CA"' in get.text
    variable = re.match(r"export (\w+)=/", name.command)
    assert variable is not None
    await is_green(stage, replace(case, environ={**case.environ, variable[1]: stage.ca_file}))


async def test_a_ca_file_made_pem_as_the_hint_says(stage: Stage) -> None:
    environ = stage.settings(await stage.brain()) | {"Z4J_CA_FILE": stage.write("ca.cer", stage.root.der)}
    said = await ask_doctor(stage, Case(environ))
    assert said.report["first_failure"] == "config.ca_unreadable"
    convert, use = steps_of(said, "config")
    await run_as_root(convert.command)
    await is_green(stage, Case(environ | {"Z4J_CA_FILE": use.command.removeprefix("export Z4J_CA_FILE=")}))


async def test_a_variable_unset_as_the_hint_says(stage: Stage) -> None:
    case, (correct,) = await broken(stage, "ssl_cert_file_names_nothing")
    assert correct.text == "Correct or unset SSL_CERT_FILE"
    await is_green(stage, replace(case, environ={**case.environ, "SSL_CERT_FILE": stage.ca_file}))


async def test_the_two_lines_of_nginx_as_the_hint_says(stage: Stage) -> None:
    brain = await stage.brain()
    site = "location / {{ {more} proxy_pass http://127.0.0.1:{port}; }}"
    nginx = await stage.nginx(site.format(more="", port=brain.port))
    case = Case(stage.settings(brain, f"http://127.0.0.1:{nginx.port}"))
    said = await ask_doctor(stage, case)
    assert said.report["first_failure"] == "websocket.upgrade_stripped"
    hint = " ".join(step.text for step in steps_of(said, "websocket"))
    lines = re.search(r"nginx, add (.*;)", hint)
    assert lines is not None
    await nginx.restart(site.format(more=lines[1], port=brain.port))
    await is_green(stage, case)


async def test_the_full_chain_as_the_hint_says(stage: Stage) -> None:

    brain = await stage.brain()
    issuing = authority("Corp Issuing CA", stage.root, organization="Corp")
    nginx, leaf = Nginx(stage.directory / "nginx"), issue(issuing, "localhost")
    stage.stack.push_async_callback(nginx.stop)
    proxying = f"location / {{ proxy_pass http://127.0.0.1:{brain.port}; {UPGRADE} }}"
    await nginx.start(certificate_lines(stage.directory, leaf, chain=()) + proxying, listen="ssl")
    url = f"https://localhost:{nginx.port}"
    case = Case(stage.settings(brain, url, Z4J_CA_FILE=stage.ca_file))
    said = await ask_doctor(stage, case)
    assert "fullchain.pem" in steps_of(said, "tls")[0].text
    await nginx.restart(certificate_lines(stage.directory, leaf) + proxying, listen="ssl")
    await is_green(stage, case)


async def test_a_url_set_as_the_hint_says(stage: Stage) -> None:
    brain = await stage.brain()
    tls = await stage.tls_nginx(brain.port, issue(stage.root, "127.0.0.1"))
    plain = Nginx(stage.directory / "plain")
    stage.stack.push_async_callback(plain.stop)
    await plain.start(f"return 301 https://127.0.0.1:{tls.port}$request_uri;")
    environ = stage.settings(brain, f"http://127.0.0.1:{plain.port}", Z4J_CA_FILE=stage.ca_file)
    said = await ask_doctor(stage, Case(environ))
    (correct,) = steps_of(said, "websocket")
    await is_green(
        stage, Case(environ | {"Z4J_BRAIN_URL": correct.command.removeprefix("export Z4J_BRAIN_URL=")})
    )


async def test_a_token_pasted_as_the_hint_says(stage: Stage) -> None:
    environ = stage.settings(await stage.brain())
    path = stage.write("token", f'"{environ["Z4J_TOKEN"]}"')
    case = Case(
        {name: value for name, value in environ.items() if name != "Z4J_TOKEN"} | {"Z4J_TOKEN_FILE": path}
    )
    said = await ask_doctor(stage, case)
    assert said.report["first_failure"] == "config.token_malformed"
    await run_as_root(steps_of(said, "config")[-1].command, typed=environ["Z4J_TOKEN"])
    await is_green(stage, case)


async def test_a_project_set_as_the_hint_says(stage: Stage) -> None:
    case, (correct, _) = await broken(stage, "the_token_is_of_another_project")
    value = correct.command.removeprefix("export Z4J_PROJECT_ID=")
    await is_green(stage, replace(case, environ={**case.environ, "Z4J_PROJECT_ID": value}))


async def test_the_clock_set_as_the_hint_says(stage: Stage) -> None:
    case, (correct,) = await broken(stage, "this_clock_is_five_minutes_fast")
    assert correct.command == "sudo timedatectl set-ntp true"
    await is_green(stage, replace(case, prefix=()))  # synchronised: libfaketime is gone


async def test_the_proxys_credentials_as_the_hint_says(stage: Stage) -> None:
    case, (write,) = await broken(stage, "the_proxy_wants_credentials")
    form = re.search(r"http://USER:PASSWORD@\S+", write.text)
    assert form is not None
    proxy = form[0].replace("USER", "agent").replace("PASSWORD", PASSWORD)
    await is_green(stage, replace(case, environ={**case.environ, "HTTPS_PROXY": proxy}))


async def test_no_proxy_as_the_hint_says(stage: Stage) -> None:
    lab, environ = await stage.lab_with_brain()
    case = Case(environ | {"HTTPS_PROXY": "http://127.0.0.1:9"}, prefix=lab.prefix)
    said = await ask_doctor(stage, case)
    assert "add the brain's host to NO_PROXY" in steps_of(said, "tcp")[0].text
    host = urlsplit(environ["Z4J_BRAIN_URL"]).hostname or ""
    await is_green(stage, replace(case, environ={**case.environ, "NO_PROXY": host}))


async def test_a_variable_renamed_as_the_hint_says(stage: Stage) -> None:
    case, (rename,) = await broken(stage, "the_tokens_variable_is_misspelled")
    wrong, right = re.fullmatch(r"Rename (\w+) to (\w+)", rename.text).groups()  # type: ignore[union-attr]
    environ = stage.settings(await stage.brain())
    assert case.environ[wrong] == TOKEN
    environ[right] = environ.pop("Z4J_TOKEN")
    await is_green(stage, Case(environ))


async def broken(stage: Stage, name: str) -> tuple[Case, Steps]:
    """A scenario of the matrix, and the steps that the doctor gives in it."""
    scenario = SCENARIOS[name]
    case = await scenario.make(stage)
    said = await ask_doctor(stage, case, timeout_s=scenario.timeout_s)
    row = said.probe(scenario.probe)
    assert row["code"] == scenario.code, said
    return case, steps_of(said, scenario.probe)


def steps_of(said: Said, probe: str) -> Steps:
    """What the doctor's JSON says to do about that probe."""
    return [Step(**step) for step in said.probe(probe)["steps"]]


async def is_green(stage: Stage, case: Case) -> None:
    """The doctor has nothing to say any more."""
    said: Said = await ask_doctor(stage, case)
    assert said.status == 0, said
    assert {row["status"] for row in said.report["probes"]} <= {"pass", "skip"}, said


async def run_as_root(command: str, *, typed: str = "") -> None:
    """A command of a hint, pasted into root's shell."""
    if os.geteuid() != 0:
        unavailable("what the hint says needs root")
    keyboard, terminal = pty.openpty()
    os.write(keyboard, f"{typed}\n".encode())
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", command.replace("sudo ", "")),
        stdin=terminal,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    os.close(terminal)
    os.close(keyboard)
    assert process.returncode == 0, f"{command}: {errors.decode()}"


def owned_directory(stage: Stage) -> str:
    """A directory of the service's user."""
    path = stage.directory / "state"
    path.mkdir(mode=0o700)
    os.chown(path, USER, USER)
    return str(path)
