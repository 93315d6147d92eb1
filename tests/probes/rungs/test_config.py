"""The config probe: every problem of the settings, said at once, with its place and without a secret."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

from tests.support.certificates import authority
from tests.support.ladders import BRAIN_URL, SECRET, TOKEN, climb_to, ladder, settings
from tests.support.programs import program
from z4j_probes import ProbeResult, Settings, Status, Step
from z4j_probes.rungs.config import probe as config
from z4j_probes.rungs.config.misspelled import closest, meant_for
from z4j_probes.rungs.config.token import faults_of


async def judged(environ: Mapping[str, str] | None = None, **explicit: str | None) -> ProbeResult:
    return await climb_to("config", [config.PROBE], settings(environ, **explicit))


async def judged_bare(environ: Mapping[str, str]) -> ProbeResult:
    return await climb_to("config", [config.PROBE], Settings.load(environ=environ))


async def test_settings_in_order_name_brain_project_and_agent() -> None:
    result = await judged({"Z4J_PROJECT_ID": "shop", "Z4J_AGENT_NAME": "web-{pid}"})
    assert result.code == "config.ok"
    assert result.message == f"https://brain.example, project shop, agent web-{os.getpid()}"
    assert result.hint == ""


async def test_what_the_settings_mean_is_left_for_the_other_rungs() -> None:
    given = settings({"Z4J_HMAC_SECRET": SECRET, "HTTPS_PROXY": "http://user:hidden@proxy.example:3128"})
    climbing = ladder([config.PROBE], given)
    async with climbing.start() as climb:
        results = [result async for result in climbing.climb(climb)]
        assert climb.endpoint.websocket_url == "wss://brain.example/ws/agent"
        assert climb.hmac_secret == bytes(range(32))
        assert climb.proxy is not None
        assert climb.proxy.authority == "proxy.example:3128"
    assert "hidden" not in str(results)


async def test_without_a_secret_no_agent_comes_online_so_the_settings_are_not_complete() -> None:
    result = await judged_bare({"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKEN": TOKEN})
    assert (result.code, result.message) == ("config.missing", "Z4J_HMAC_SECRET is not set")
    assert "Z4J_HMAC_SECRET_FILE" in result.hint


@pytest.fixture
def at_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a person had started the doctor."""
    monkeypatch.setattr(sys, "argv", ["/opt/app/bin/z4j-fastapi", "doctor"])
    for name in ("CI", "KUBERNETES_SERVICE_HOST", "JOURNAL_STREAM"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("at_a_prompt")
async def test_everything_that_is_missing_is_named_at_once_with_its_command() -> None:
    result = await judged_bare({})
    assert result.code == "config.missing"
    assert result.headline == "3 required settings are missing"
    assert result.message == "Z4J_BRAIN_URL, Z4J_TOKEN, and Z4J_HMAC_SECRET are not set"
    assert [step.command.partition("  #")[0].rstrip() for step in result.steps] == [
        "export Z4J_BRAIN_URL=https://brain.example",
        "read -rs Z4J_TOKEN && export Z4J_TOKEN",
        "read -rs Z4J_HMAC_SECRET && export Z4J_HMAC_SECRET",
        "",
    ]


async def test_where_no_one_can_type_a_missing_secret_is_not_asked_for() -> None:
    result = await judged_bare({})
    assert [step.command for step in result.steps] == [""]
    assert "Set Z4J_BRAIN_URL, Z4J_TOKEN, and Z4J_HMAC_SECRET where" in result.hint
    assert "Z4J_TOKEN_FILE and Z4J_HMAC_SECRET_FILE" in result.hint
    assert [p["setting"] for p in result.details["problems"]] == ["brain_url", "token", "hmac_secret"]


async def test_an_empty_or_blank_value_is_missing_and_said_to_be_empty() -> None:
    result = await judged_bare({"Z4J_BRAIN_URL": "", "Z4J_TOKEN": "  "})
    assert result.code == "config.missing"
    assert "Z4J_BRAIN_URL is empty; Z4J_TOKEN is empty" in result.message


async def test_a_missing_setting_with_a_misspelled_one_beside_it_asks_what_was_meant() -> None:
    result = await judged_bare({"Z4J_URL": BRAIN_URL, "Z4J_TOKN": TOKEN, "Z4J_HMAC_SECRET": SECRET})
    assert result.code == "config.missing"
    assert "Z4J_URL is (did you mean Z4J_BRAIN_URL?)" in result.message
    assert "Rename Z4J_TOKN to Z4J_TOKEN" in result.hint
    assert len(result.details["problems"]) == 2


@pytest.mark.parametrize("name", ["Z4J_HMAC_KEY", "Z4J_HMAC", "Z4J_HMAC_SECRT", "Z4J_SIGNING_HMAC"])
async def test_a_secret_under_another_name_is_asked_about(name: str) -> None:
    result = await judged_bare({"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKEN": TOKEN, name: SECRET})
    assert result.hint == f"Rename {name} to Z4J_HMAC_SECRET"


async def test_a_brains_own_secret_is_not_taken_for_the_agents() -> None:
    result = await judged_bare({"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKEN": TOKEN, "Z4J_SECRET": SECRET})
    assert result.code == "config.missing"
    assert "Z4J_SECRET" not in f"{result.message}{result.hint}"


async def test_an_env_file_that_is_not_there_is_looked_for_in_its_directory(tmp_path: Path) -> None:
    given = Settings.load(environ={}, env_file="no-such-place/web.env")
    result = await climb_to("config", [config.PROBE], given)
    assert result.code == "config.secret_unreadable"
    assert (
        result.hint
        == "Correct --env-file: no-such-place/web.env does not exist. List its directory: `ls -la .`"
    )


async def test_the_most_fundamental_problem_gives_the_code_and_the_message_names_all() -> None:
    result = await judged(
        {
            "Z4J_BRAIN_URL": "http://brain.example",
            "Z4J_TOKEN": '"abc"',
            "Z4J_HMAC_SECRET": "c2hvcnQ",
            "Z4J_PREFLIGHT": "of",
            "Z4J_CA_FILE": "/nonexistent/ca.pem",
            "Z4J_PROJECT": "shop",
        }
    )
    assert result.code == "config.insecure_url"
    assert [p["code"] for p in result.details["problems"]] == [
        "config.insecure_url",
        "config.token_malformed",
        "config.secret_malformed",
        "config.invalid_value",
        "config.ca_unreadable",
        "config.unknown_variable",
    ]
    for problem in result.details["problems"]:
        assert problem["message"] in result.message
    assert result.headline == "6 problems with the settings"


@pytest.mark.usefixtures("at_a_prompt")
async def test_each_of_several_causes_has_its_own_code_and_steps() -> None:
    result = await judged_bare(
        {"Z4J_BRAIN_URL": "brain.example", "Z4J_TOKEN": '"abc"', "Z4J_PREFLIGHT": "of", "Z4J_LOG_LEVEL": "x"}
        | {"Z4J_PROJECT": "shop"}
    )
    assert (result.code, result.status) == ("config.missing", Status.FAIL)
    assert result.headline == "1 required setting is missing, 5 more problems"
    told = [(cause.code, cause.status.value, [str(step) for step in cause.steps]) for cause in result.causes]
    assert told == [
        (
            "config.missing",
            "fail",
            [
                "Copy it from the brain's dashboard (the secret is shown once): "
                "`read -rs Z4J_HMAC_SECRET && export Z4J_HMAC_SECRET  # paste, Enter`",
                "Already in a file? Add --env-file FILE",
            ],
        ),
        (
            "config.invalid_url",
            "fail",
            ["Set Z4J_BRAIN_URL to the address of the dashboard, such as https://brain.example"],
        ),
        (
            "config.token_malformed",
            "fail",
            [
                "Copy the token from the dashboard again, without quotes or spaces",
                "Paste it into Z4J_TOKEN: `read -rs Z4J_TOKEN && export Z4J_TOKEN`",
            ],
        ),
        (
            "config.invalid_value",
            "fail",
            [
                "Correct Z4J_PREFLIGHT: what a failed first connection attempt does: warn, strict, or off",
                "Correct Z4J_LOG_LEVEL: the level of the z4j logger",
            ],
        ),
        ("config.unknown_variable", "warn", ["Rename Z4J_PROJECT to Z4J_PROJECT_ID, or unset it"]),
    ]
    assert [step for cause in result.causes for step in cause.steps] == list(result.steps)
    assert "; ".join(cause.message for cause in result.causes) == result.message
    assert ProbeResult.from_dict(result.to_dict()).causes == result.causes


async def test_what_is_wrong_for_one_reason_has_no_list_of_causes() -> None:
    assert (await judged_bare({})).causes == ()
    both = await judged({"Z4J_PREFLIGHT": "of", "Z4J_LOG_LEVEL": "x"})
    assert (both.code, both.causes, len(both.steps)) == ("config.invalid_value", (), 2)
    assert both.headline == "a setting has an invalid value, 1 more problem"


async def test_no_secret_is_in_a_cause() -> None:
    result = await judged({"Z4J_TOKEN": f"{TOKEN}\n", "Z4J_BRAIN_URL": f"https://brain.example/?t={TOKEN}"})
    assert len(result.causes) == 2
    assert TOKEN not in str(result)


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("brain.example", "config.invalid_url", "no scheme"),
        ("https://brain.example:port", "config.invalid_url", "host or port"),
        ("https://", "config.invalid_url", "no host"),
        ("https://brain.example ", "config.invalid_url", "whitespace"),
        ("https://user:hidden@brain.example", "config.invalid_url", "user name or password"),
        ("https://user:hid/den@brain.example", "config.invalid_url", "an @ after its host"),
        ("postgres://brain.example", "config.unsupported_scheme", "postgres://"),
        ("http://brain.example", "config.insecure_url", "plain http to brain.example"),
        ("ws://10.0.0.1:8700", "config.insecure_url", "plain http to 10.0.0.1"),
    ],
)
async def test_a_brain_url_that_can_not_be_used(url: str, code: str, said: str) -> None:
    result = await judged({"Z4J_BRAIN_URL": url})
    assert result.code == code
    assert said in result.message
    assert "Z4J_BRAIN_URL" in result.message
    assert "hid" not in f"{result.message}{result.hint}{result.details}"


@pytest.mark.parametrize("url", ["http://localhost:8700", "ws://127.0.0.1:1", "http://[::1]:8700"])
async def test_plaintext_to_loopback_is_fine(url: str) -> None:
    assert (await judged({"Z4J_BRAIN_URL": url})).code == "config.ok"


async def test_code_alone_can_allow_plaintext() -> None:
    environ = {
        "Z4J_BRAIN_URL": "http://brain.example",
        "Z4J_TOKEN": TOKEN,
        "Z4J_HMAC_SECRET": SECRET,
        "Z4J_ALLOW_PLAINTEXT": "1",
    }
    assert (await judged_bare(environ)).code == "config.insecure_url"
    allowed = Settings.load(environ=environ, allow_plaintext=True)
    assert (await climb_to("config", [config.PROBE], allowed)).code == "config.ok"


@pytest.mark.parametrize(
    ("token", "faults"),
    [
        ("abc123", []),
        ("https://brain.example", ["is a URL, not a token"]),
        ("abc123\n", ["ends with a newline"]),
        (" abc123", ["begins with whitespace"]),
        ("'abc123'", ["is wrapped in quotes"]),
        ('"abc123', ["begins with a quote"]),
        ("abc123”", ["ends with a quote"]),
        ("Bearer abc123", ['begins with "Bearer ", which the agent adds itself']),
        ("Authorization: Bearer abc123", ['begins with "Bearer ", which the agent adds itself']),
        ("Z4J_TOKEN=abc123", ["begins with the name of its variable"]),
        ("abc\n123", ["has a newline in the middle"]),
        ("abc 123", ["has whitespace in the middle"]),
        ("abc\u200b123", ["has an invisible character that is not ASCII"]),
        ("abcé123", ["has a character that is not ASCII"]),
        ("abc\x07123", ["has a control character"]),
        ("'abc 123'\n", ["ends with a newline", "is wrapped in quotes", "has whitespace in the middle"]),
        ("<token>", ["is a placeholder, not a token"]),
        ("${Z4J_TOKEN}", ["is a placeholder, not a token"]),
        ("your-token-here", ["is a placeholder, not a token"]),
        ("changeme", ["is a placeholder, not a token"]),
        ("xxxxxxxx", ["is a placeholder, not a token"]),
        ('"', ["is wrapped in quotes"]),
    ],
)
def test_what_is_wrong_with_a_token(token: str, faults: list[str]) -> None:
    assert faults_of(token) == faults


async def test_a_malformed_token_is_never_shown() -> None:
    result = await judged({"Z4J_TOKEN": '"s3cr3t-h4lf other-h4lf"'})
    assert result.code == "config.token_malformed"
    assert "the token in Z4J_TOKEN is wrapped in quotes" in result.message
    assert "h4lf" not in f"{result.message}{result.hint}{result.details}"


async def test_the_hint_for_a_token_names_the_file_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("Bearer abc123\n")
    bare = {"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_HMAC_SECRET": SECRET}
    result = await judged_bare(bare | {"Z4J_TOKEN_FILE": str(file)})
    assert result.code == "config.token_malformed"
    assert f"Write it into {file}" in result.hint


async def test_the_hint_for_a_token_names_the_env_file(tmp_path: Path) -> None:
    file = tmp_path / "web.env"
    file.write_text(f"Z4J_BRAIN_URL={BRAIN_URL}\nZ4J_TOKEN='abc 123'\n")
    given = Settings.load(environ={"Z4J_HMAC_SECRET": SECRET}, env_file=file)
    result = await climb_to("config", [config.PROBE], given)
    assert result.code == "config.token_malformed"
    assert f"Z4J_TOKEN in {file}" in result.message
    assert f"into {file}" in result.hint


@pytest.mark.parametrize("directory", ["app (prod)", "a; b", "it's, and `here`"])
async def test_a_secret_from_an_env_file_is_written_to_that_file_whatever_its_directory_is_called(
    tmp_path: Path, directory: str
) -> None:
    file = tmp_path / directory / "web.env"
    file.parent.mkdir()
    file.write_text("Z4J_TOKEN='abc 123'\n")
    given = Settings.load(environ={"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_HMAC_SECRET": SECRET}, env_file=file)
    result = await climb_to("config", [config.PROBE], given)
    assert result.code == "config.token_malformed"
    assert result.steps[-1] == Step(f"Write Z4J_TOKEN=… without quotes or spaces into {file}")


@pytest.mark.component
@pytest.mark.usefixtures("at_a_prompt")
@pytest.mark.parametrize("directory", ["app (prod)", "a; b", "it's, and `here`"])
async def test_a_secret_from_a_file_is_written_to_that_file_whatever_its_directory_is_called(
    tmp_path: Path, directory: str
) -> None:
    secret = tmp_path / directory / "token"
    secret.parent.mkdir()
    secret.write_text("abc 123\n")
    bare = {"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_HMAC_SECRET": SECRET}
    result = await judged_bare(bare | {"Z4J_TOKEN_FILE": str(secret)})
    assert result.code == "config.token_malformed"
    assert f"Z4J_TOKEN_FILE ({secret})" in result.message
    run("bash", "-c", f"echo abc123 | {result.steps[-1].command}")
    assert secret.read_text() == "abc123\n"


async def test_a_malformed_secret_says_what_is_wrong_and_not_what_it_is() -> None:
    result = await judged({"Z4J_HMAC_SECRET": "c2hvcnQtc2VjcmV0"})
    assert result.code == "config.secret_malformed"
    assert "12 bytes long, at least 32 are needed" in result.message
    assert "c2hvcnQ" not in f"{result.message}{result.hint}{result.details}"


async def test_a_secret_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "absent"
    result = await judged_bare({"Z4J_TOKEN_FILE": str(path)})
    assert result.code == "config.secret_unreadable"
    assert f"{path} can't be read (Z4J_TOKEN_FILE): No such file or directory" in result.message
    assert "Z4J_BRAIN_URL and Z4J_HMAC_SECRET are not set" in result.message
    assert f"`ls -la {tmp_path}`" in result.hint


async def test_a_secret_file_that_is_a_directory_is_a_mount_without_a_source(tmp_path: Path) -> None:
    result = await judged_bare({"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKEN_FILE": str(tmp_path)})
    assert result.code == "config.secret_unreadable"
    assert "Mount the file" in result.hint


async def test_a_secret_file_of_another_mode_is_mended_by_a_command(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads every file, as root does")
    result = await judged_bare({"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKEN_FILE": str(path)})
    assert result.code == "config.secret_unreadable"
    assert f"sudo chgrp {os.getegid()} {path}" in result.hint


async def test_an_empty_secret_file_is_said_to_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch()
    result = await judged_bare({"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKEN_FILE": str(path)})
    assert result.code == "config.missing"
    assert f"the file {path} (Z4J_TOKEN_FILE) is empty" in result.message


async def test_an_env_file_that_can_not_be_read_is_the_first_thing_to_fix(tmp_path: Path) -> None:
    given = Settings.load(environ={}, env_file=tmp_path / "absent.env")
    result = await climb_to("config", [config.PROBE], given)
    assert result.code == "config.secret_unreadable"
    assert result.message.endswith("absent.env can't be read (--env-file): No such file or directory")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Z4J_BRAIN_ULR", "Z4J_BRAIN_URL"),
        ("Z4J_PROJECT", "Z4J_PROJECT_ID"),
        ("Z4J_TOKENFILE", "Z4J_TOKEN_FILE"),
        ("Z4JTOKEN", "Z4J_TOKEN"),
        ("z4j_token", "Z4J_TOKEN"),
        ("Z4J_SECRET", None),
        ("Z4J_DATABASE_URL", None),
        ("Z4J_PUBLIC_URL", None),
    ],
)
def test_which_variable_a_misspelled_one_is_close_to(name: str, known: str | None) -> None:
    assert closest(name) == known


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (["Z4J_URL"], "Z4J_URL"),
        (["Z4J_BRAIN"], "Z4J_BRAIN"),
        (["Z4J_DATABASE_URL"], None),
        (["Z4J_DATABASE_URL", "Z4J_BRAIN_ULR"], "Z4J_BRAIN_ULR"),
    ],
)
def test_which_variable_was_meant_for_a_missing_brain_url(names: list[str], meant: str | None) -> None:
    assert meant_for("Z4J_BRAIN_URL", names) == meant


async def test_a_variable_that_nothing_reads_is_a_warning_that_leaves_the_products() -> None:
    climbing = ladder([config.PROBE], settings({"Z4J_PROJECT": "shop"}))
    async with climbing.start() as climb:
        results = [result async for result in climbing.climb(climb)]
        assert climb.endpoint.host == "brain.example"
    assert results[0].status is Status.WARN
    assert results[0].code == "config.unknown_variable"
    assert "did you mean Z4J_PROJECT_ID?" in results[0].message


async def test_a_ca_file_of_pem_certificates_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))
    assert (await judged({"Z4J_CA_FILE": str(file)})).code == "config.ok"


@pytest.mark.parametrize("content", [b"", b"not a certificate", b"\x30\x82\x01\x00"])
async def test_a_ca_file_that_is_not_pem(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(content)
    result = await judged({"Z4J_CA_FILE": str(file)})
    assert result.code == "config.ca_unreadable"
    assert f"the CA file {file} is not a PEM file" in result.message


async def test_a_ca_file_that_is_not_there(tmp_path: Path) -> None:
    result = await judged({"Z4J_CA_FILE": str(tmp_path / "absent.pem")})
    assert result.code == "config.ca_unreadable"
    assert "No such file or directory" in result.message


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"Z4J_COMMANDS": "cancel"}, "'cancel' is not a command"),
        ({"Z4J_PREFLIGHT": "of"}, "is not one of warn, strict, off"),
        ({"Z4J_LOG_LEVEL": "LOUD"}, "is not one of DEBUG"),
        ({"Z4J_DISABLED": "maybe"}, "is not one of 1, true"),
        ({"Z4J_PROJECT_ID": "my project"}, "not a valid slug or UUID"),
        ({"Z4J_AGENT_NAME": " "}, "is blank"),
        ({"Z4J_AGENT_NAME": "n" * 129}, "129 characters"),
        ({"Z4J_AGENT_NAME": "web-{hostname}"}, "contains {hostname}"),
        ({"Z4J_AGENT_NAME": "web\x00"}, "a control character"),
        ({"HTTPS_PROXY": "socks5://user:hidden@proxy.example"}, "HTTPS_PROXY names a socks5:// proxy"),
    ],
)
async def test_a_value_that_can_not_be(environ: dict[str, str], said: str) -> None:
    result = await judged(environ)
    assert result.code == "config.invalid_value"
    assert said in result.message
    assert "hidden" not in f"{result.message}{result.hint}{result.details}"


@pytest.mark.parametrize(
    "environ",
    [
        {"Z4J_PREFLIGHT": "strict"},
        {"Z4J_LOG_LEVEL": "debug"},
        {"Z4J_COMMANDS": "default, purge_queue"},
        {"Z4J_DISABLED": "0"},
        {"Z4J_PROJECT_ID": "9a0c6f2e-8d3b-4c57-9b6e-0f1a2b3c4d5e"},
        {"Z4J_AGENT_NAME": "Worker 1 (Köln)"},
    ],
)
async def test_a_value_that_can_be(environ: dict[str, str]) -> None:
    assert (await judged(environ)).code == "config.ok"


async def test_an_agent_that_is_switched_off_is_a_warning_and_the_ladder_goes_on() -> None:
    climbing = ladder([config.PROBE], settings({"Z4J_DISABLED": "yes"}))
    async with climbing.start() as climb:
        results = [result async for result in climbing.climb(climb)]
        assert climb.has("endpoint")
    assert (results[0].code, results[0].status) == ("config.disabled", Status.WARN)
    assert "Z4J_DISABLED is set: the agent is disabled" in results[0].message
    assert results[0].hint.startswith("Unset Z4J_DISABLED")


def run(*command: str) -> None:
    subprocess.run(command, check=True)


@pytest.mark.component
@pytest.mark.parametrize("form", ["PEM", "DER"])
async def test_a_bundle_of_pkcs7_is_converted_as_such(tmp_path: Path, form: str) -> None:
    root, bundle = authority("Corp Root CA"), tmp_path / "corp root.p7b"
    command = [program("openssl"), "crl2pkcs7", "-nocrl", "-certfile", root.save(tmp_path / "root.pem")]
    run(*command, "-outform", form, "-out", str(bundle))
    result = await judged({"Z4J_CA_FILE": str(bundle)})
    assert result.code == "config.ca_unreadable"
    convert, use = result.steps
    run("sh", "-c", convert.command)
    made = shlex.split(convert.command)[-1]
    assert use.text == f"Set Z4J_CA_FILE={made} where the service gets its environment"
    assert (await judged({"Z4J_CA_FILE": made})).code == "config.ok"
