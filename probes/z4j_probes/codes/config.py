"""The codes of the `config` probe."""

from z4j_probes.codes._code import Code, Heals
from z4j_probes.result import Status, Step

CODES = (
    Code(
        "config.ok",
        "the settings are complete and well formed",
        status=Status.PASS,
    ),
    Code(
        "config.missing",
        "required settings are missing",
        causes=(
            "the variable is set in a shell, but not in the service's own environment",
            "the variable's name is misspelled",
            "the .env file is not loaded: name it with --env-file",
        ),
        remedy=(
            Step("Set Z4J_BRAIN_URL, Z4J_TOKEN, and Z4J_HMAC_SECRET where the service gets its environment"),
            Step("If token and secret are files, set Z4J_TOKEN_FILE and Z4J_HMAC_SECRET_FILE to their paths"),
        ),
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.invalid_url",
        "the brain URL is not a valid URL",
        causes=(
            "the scheme is missing: brain.example where https://brain.example is meant",
            "quotes or whitespace were pasted with it",
            "it contains a query, a fragment, a user name, or an invalid port",
        ),
        remedy="Set Z4J_BRAIN_URL to the address of the dashboard, such as https://brain.example",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.unsupported_scheme",
        "the scheme of the brain URL is not supported",
        causes=("the URL of a database or a queue was set", "a typo: htps://"),
        remedy="Use an https:// URL (http, ws, and wss are accepted too)",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.insecure_url",
        "the brain URL is plain http: the token would be unencrypted",
        causes=("http:// was written where https:// is meant", "the brain has no TLS in front of it"),
        remedy=(Step("Use https://"), Step("If the network is trusted, pass allow_plaintext=True in code")),
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.token_malformed",
        "the token is malformed",
        causes=(
            "a newline or a space at its end",
            "quotes that the shell or the env file did not remove",
            '"Bearer " in front of it',
            "a placeholder from the documentation",
        ),
        remedy="Copy the token from the dashboard again, without anything around it",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.secret_malformed",
        "the HMAC secret is not urlsafe base64 of at least 32 bytes",
        causes=(
            "a part of it was not copied",
            "quotes or whitespace were pasted with it",
            "the token was put in its place",
        ),
        remedy="Copy the HMAC secret from where the agent was created: a new agent has a new one",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.secret_unreadable",
        "a file with settings can't be read",
        causes=(
            "the file belongs to another user, as an EnvironmentFile of systemd does on purpose",
            "the secret is not mounted at that path",
            "the path is relative to another directory",
        ),
        remedy="Run the doctor as the service, with --unit or --pid, or correct the path of the file",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.disabled",
        "the agent is disabled and will not connect",
        status=Status.WARN,
        causes=("Z4J_DISABLED is set on purpose", "Z4J_DISABLED was left from tests or from an incident"),
        remedy="Unset Z4J_DISABLED if the service needs its agent",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.unknown_variable",
        "unknown variable: is its name misspelled?",
        status=Status.WARN,
        causes=("a typing error", "a name from another program or version"),
        remedy="Rename the variable, or unset it",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.ca_unreadable",
        "the CA file can't be loaded",
        causes=(
            "the path is wrong, or not mounted in the container",
            "the file is DER, a key, or empty: PEM certificates are needed",
            "this user may not read it",
        ),
        remedy="Set Z4J_CA_FILE to a readable PEM file with the CA's certificate, or unset it",
    ),
    Code(
        "config.invalid_value",
        "a setting has an invalid value",
        causes=(
            "a typing error",
            "a placeholder that was not replaced",
            "a proxy variable that is not a valid http:// URL",
        ),
        remedy="Correct the setting, or unset it to use its default",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
)
