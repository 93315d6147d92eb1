"""Settings that are missing, malformed, or in a file that can't be read."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.scenario import Case, scenario
from tests.faults.stage import Stage
from tests.support.certificates import authority
from tests.support.ladders import BRAIN_URL, SECRET, TOKEN

USER = 4242
"""A user without an entry in passwd, as containers are given."""


def case(*, arguments: tuple[str, ...] = (), words: tuple[str, ...] = (), **variables: str) -> Case:
    """Settings that are in order but for what these variables say."""
    sound = {"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
    return Case(sound | variables, arguments, words)


@scenario(
    "config.missing",
    "no settings at all",
    "Z4J_BRAIN_URL",
    "Z4J_TOKEN",
    hint=("export Z4J_BRAIN_URL=", "read -rs Z4J_TOKEN &&", "read -rs Z4J_HMAC_SECRET &&"),
)
async def nothing_is_set(stage: Stage) -> Case:
    """no Z4J_* variable in the environment"""
    return Case()


@scenario(
    "config.missing",
    "the token's variable is misspelled",
    "Z4J_TOKEN is not set, but Z4J_TOKN is",
    hint=("rename Z4J_TOKN",),
)
async def the_tokens_variable_is_misspelled(stage: Stage) -> Case:
    """Z4J_TOKN is set instead of Z4J_TOKEN"""
    return Case({"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKN": TOKEN, "Z4J_HMAC_SECRET": SECRET})


@scenario(
    "config.missing",
    "the secret is not set",
    "Z4J_HMAC_SECRET is not set",
    hint=("read -rs Z4J_HMAC_SECRET &&",),
)
async def the_secret_is_not_set(stage: Stage) -> Case:
    """an agent of the real brain, without Z4J_HMAC_SECRET"""
    environ = stage.real_settings()
    del environ["Z4J_HMAC_SECRET"]
    return Case(environ)


@scenario("config.missing", "an empty token file", "is empty")
async def the_token_file_is_empty(stage: Stage) -> Case:
    """Z4J_TOKEN_FILE names a file of no bytes"""
    path = stage.write("token", "")
    return Case({"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKEN_FILE": path}, words=(path,))


@scenario("config.invalid_url", "a URL without a scheme", "no scheme", "Z4J_BRAIN_URL", hint=("https://",))
async def the_url_has_no_scheme(stage: Stage) -> Case:
    """Z4J_BRAIN_URL=brain.example"""
    return case(Z4J_BRAIN_URL="brain.example")


@scenario("config.invalid_url", "a URL with port 0", "its port is 0")
async def the_url_has_port_0(stage: Stage) -> Case:
    """Z4J_BRAIN_URL=https://brain.example:0, which libraries take for port 80"""
    return case(Z4J_BRAIN_URL="https://brain.example:0")


@scenario("config.invalid_url", "a URL with a port above 65535", "host or port is not valid")
async def the_url_has_port_70000(stage: Stage) -> Case:
    """Z4J_BRAIN_URL=https://brain.example:70000"""
    return case(Z4J_BRAIN_URL="https://brain.example:70000")


@scenario("config.invalid_url", "a URL with its quotes pasted", "wrapped in quotes")
async def the_url_is_in_quotes(stage: Stage) -> Case:
    """docker run --env-file keeps the quotes: Z4J_BRAIN_URL='"https://brain.example"'"""
    return case(Z4J_BRAIN_URL='"https://brain.example"')


@scenario(
    "config.unsupported_scheme", "the URL of another protocol", "redis:// is not one of", hint=("https://",)
)
async def the_url_is_a_redis_url(stage: Stage) -> Case:
    """Z4J_BRAIN_URL=redis://queue:6379/0"""
    return case(Z4J_BRAIN_URL="redis://queue:6379/0")


@scenario(
    "config.insecure_url",
    "plain HTTP over a network",
    "plain http to brain.example",
    hint=("https://brain.example:7700",),
)
async def the_url_is_plain_http(stage: Stage) -> Case:
    """Z4J_BRAIN_URL=http://brain.example:7700"""
    return case(Z4J_BRAIN_URL="http://brain.example:7700")


@scenario(
    "config.token_malformed",
    "a token that ends with a newline",
    "Z4J_TOKEN",
    "ends with a newline",
    hint=("read -rs Z4J_TOKEN && export Z4J_TOKEN",),
)
async def the_token_ends_with_a_newline(stage: Stage) -> Case:
    """the variable has the newline of the file that it was copied from"""
    return case(Z4J_TOKEN=TOKEN + "\n")


@scenario("config.token_malformed", "a token with its quotes pasted", "wrapped in quotes")
async def the_token_is_in_quotes(stage: Stage) -> Case:
    """Z4J_TOKEN='"…"'"""
    return case(Z4J_TOKEN=f'"{TOKEN}"')


@scenario("config.token_malformed", "a token pasted with its header", 'begins with "Bearer "')
async def the_token_has_bearer_in_front(stage: Stage) -> Case:
    """Z4J_TOKEN='Bearer …'"""
    return case(Z4J_TOKEN=f"Bearer {TOKEN}")


@scenario(
    "config.token_malformed",
    "a token with an invisible character",
    "an invisible character that is not ASCII",
)
async def the_token_has_a_zero_width_space(stage: Stage) -> Case:
    """copied from a web page, with U+200B in it"""
    return case(Z4J_TOKEN=TOKEN[:9] + "\u200b" + TOKEN[9:])


@scenario(
    "config.token_malformed", "a placeholder instead of a token", "is a placeholder", hint=("systemd.env",)
)
async def the_token_is_a_placeholder(stage: Stage) -> Case:
    """the env file of the documentation: Z4J_TOKEN=<your-token>"""
    path = stage.write(
        "systemd.env", f"Z4J_BRAIN_URL={BRAIN_URL}\nZ4J_TOKEN=<your-token>\nZ4J_HMAC_SECRET={SECRET}\n"
    )
    return Case(arguments=("--env-file", path), words=(path,))


@scenario("config.secret_malformed", "a secret that is cut short", "Z4J_HMAC_SECRET")
async def the_secret_is_cut_short(stage: Stage) -> Case:
    """the last third of Z4J_HMAC_SECRET was not copied"""
    return case(Z4J_HMAC_SECRET="c2VjcmV0LXNlY3JldC1zZWNyZXQ")


@scenario("config.secret_malformed", "the token in the secret's place", "Z4J_HMAC_SECRET: it is the token")
async def the_secret_is_the_token(stage: Stage) -> Case:
    """Z4J_HMAC_SECRET has the value of Z4J_TOKEN"""
    return case(Z4J_HMAC_SECRET=TOKEN)


@scenario(
    "config.secret_unreadable",
    "a token file that is not mounted",
    "No such file or directory",
    hint=("ls -l",),
)
async def the_token_file_is_not_there(stage: Stage) -> Case:
    """Z4J_TOKEN_FILE names a path that nothing was mounted at"""
    path = f"{stage.directory}/run/secrets/token"
    return Case({"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKEN_FILE": path}, words=(path,))


@scenario(
    "config.secret_unreadable",
    "a token file that only root may read",
    "Permission denied",
    hint=("chgrp 4242", "chmod 0640"),
)
async def the_token_file_belongs_to_root(stage: Stage) -> Case:
    """the file is root's with mode 0600, the service runs as uid 4242"""
    path = stage.write("token", TOKEN, 0o600)
    return Case(
        {"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKEN_FILE": path}, words=(path,), handicap=(f"user={USER}",)
    )


@scenario(
    "config.secret_unreadable",
    "a directory mounted in place of the token file",
    "Is a directory",
    hint=("Docker makes",),
)
async def the_token_file_is_a_directory(stage: Stage) -> Case:
    """docker -v /missing:/run/secret makes a directory of that name"""
    path = stage.directory / "secret"
    path.mkdir()
    return Case({"Z4J_BRAIN_URL": BRAIN_URL, "Z4J_TOKEN_FILE": str(path)}, words=(str(path),))


@scenario(
    "config.unknown_variable",
    "the project's variable is misspelled",
    "Z4J_PROJECT is set",
    "did you mean Z4J_PROJECT_ID",
)
async def the_projects_variable_is_misspelled(stage: Stage) -> Case:
    """Z4J_PROJECT is set instead of Z4J_PROJECT_ID, against a brain that is in order"""
    brain = await stage.brain()
    return Case(stage.settings(brain, Z4J_PROJECT="shop"))


@scenario(
    "config.disabled",
    "the agent is switched off",
    "Z4J_DISABLED is set: the agent is disabled",
    hint=("unset Z4J_DISABLED",),
)
async def the_agent_is_switched_off(stage: Stage) -> Case:
    """Z4J_DISABLED=1 was left from an incident; all else is in order"""
    return Case(stage.settings(await stage.brain(), Z4J_DISABLED="1"))


@scenario("config.ca_unreadable", "a CA file that does not exist", "No such file or directory")
async def the_ca_file_is_not_there(stage: Stage) -> Case:
    """Z4J_CA_FILE names a path that is not in the container"""
    path = f"{stage.directory}/ca.pem"
    return case(Z4J_CA_FILE=path, words=(path,))


@scenario(
    "config.ca_unreadable",
    "a CA file in DER instead of PEM",
    "is not a PEM file of certificates",
    hint=("-inform der",),
)
async def the_ca_file_is_der(stage: Stage) -> Case:
    """Z4J_CA_FILE names a certificate in DER, as Windows exports it"""
    return case(Z4J_CA_FILE=stage.write("ca.cer", stage.root.der))


@scenario(
    "config.ca_unreadable", "a CA file that only root may read", "Permission denied", hint=("chgrp 4242",)
)
async def the_ca_file_belongs_to_root(stage: Stage) -> Case:
    """the CA file has mode 0600, the service runs as uid 4242"""
    path = stage.write("ca.pem", stage.root.pem, 0o600)
    return replace(case(Z4J_CA_FILE=path), handicap=(f"user={USER}",))


@scenario(
    "config.invalid_value",
    "a SOCKS proxy",
    "ALL_PROXY",
    "socks5://",
    hint=("http://proxy.example:3128",),
)
async def the_proxy_is_a_socks_proxy(stage: Stage) -> Case:
    """ALL_PROXY=socks5://bastion:1080, left by an SSH tunnel"""
    return case(ALL_PROXY="socks5://bastion:1080")


@scenario("config.invalid_value", "a broken proxy URL with credentials in it", "HTTPS_PROXY is not a URL")
async def the_proxys_port_is_none(stage: Stage) -> Case:
    """HTTPS_PROXY=http://user:geheim-1@proxy:port, with a password that must not be shown"""
    return case(HTTPS_PROXY="http://user:geheim-1@proxy:port")


@scenario(
    "config.invalid_value",
    "a project title instead of a slug",
    "Z4J_PROJECT_ID",
    "is not a valid slug or UUID",
)
async def the_project_is_a_sentence(stage: Stage) -> Case:
    """Z4J_PROJECT_ID='My Shop', the project's title instead of its slug"""
    return case(Z4J_PROJECT_ID="My Shop")


@scenario(
    "config.invalid_value",
    "an agent name with a placeholder that is not filled in",
    "{hostname}",
    hint=("Z4J_AGENT_NAME",),
)
async def the_agents_name_is_a_template(stage: Stage) -> Case:
    """Z4J_AGENT_NAME=web-{hostname}, where {host} is meant"""
    return case(Z4J_AGENT_NAME="web-{hostname}")


@scenario(
    "config.invalid_url",
    "an env file with Windows line endings, as Docker passes it on",
    "end in a carriage return",
    "Windows line endings",
    hint=(r"sed -i 's/\r$//' FILE",),
)
async def every_value_ends_in_a_return(stage: Stage) -> Case:
    """docker run --env-file keeps the carriage return of each line"""
    environ = stage.settings(await stage.brain())
    return Case({name: f"{value}\r" for name, value in environ.items()})


@scenario(
    "config.missing",
    "an env file with a byte order mark, as Docker passes it on",
    "Z4J_BRAIN_URL is not set",
    "byte order mark (BOM)",
    hint=("without BOM",),
)
async def the_first_name_has_a_mark(stage: Stage) -> Case:
    """the first variable's name begins with the file's byte order mark"""
    environ = stage.settings(await stage.brain())
    return Case({f"\ufeff{name}" if name == "Z4J_BRAIN_URL" else name: environ[name] for name in environ})


@scenario(
    "config.ca_unreadable",
    "two certificates glued together in the CA file",
    "glued together in line",
    hint=("Break line", "sed -i"),
)
async def the_ca_file_is_glued(stage: Stage) -> Case:
    """`cat root.pem intermediate.pem`, where the first file does not end in a line break"""
    first, second = stage.root.pem.rstrip(), authority("Other Root CA").pem
    environ = stage.settings(await stage.brain())
    return Case({**environ, "Z4J_CA_FILE": stage.write("bundle.pem", first + second)})
