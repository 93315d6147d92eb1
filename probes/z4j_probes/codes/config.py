"""The codes of the `config` probe."""

from z4j_probes.codes._code import Code, Heals
from z4j_probes.result import Status, Step

CODES = (
    Code(
        "config.ok",
        "the settings are complete and well formed",
        status=Status.PASS,
        causes=("nothing is wrong with them",),
    ),
    Code(
        "config.missing",
        "settings that the agent can't do without are missing",
        causes=(
            "the variable is set in a shell, but not in the service's own environment",
            "the variable's name is misspelt",
            "the .env file is not loaded: name it with --env-file",
        ),
        remedy="Set Z4J_BRAIN_URL, Z4J_TOKEN, and Z4J_HMAC_SECRET where the service gets its environment "
        "(the last two can be in files, with their paths in Z4J_TOKEN_FILE and Z4J_HMAC_SECRET_FILE)",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.invalid_url",
        "the brain URL can't be taken apart",
        causes=(
            "the scheme is missing: brain.example where https://brain.example is meant",
            "quotes or white space were pasted with it",
            "it has a query, a fragment, a user name, or a port that is none",
        ),
        remedy="Set Z4J_BRAIN_URL to the dashboard's address, for instance https://brain.example",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.unsupported_scheme",
        "the brain URL is for another protocol",
        causes=("a database's or a queue's URL was put there", "a typing error: htps://"),
        remedy="Use an https:// URL (http, ws, and wss are accepted too)",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.insecure_url",
        "the brain URL would carry the token in plain text over a network",
        causes=("http:// was written where https:// is meant", "the brain has no TLS in front of it"),
        remedy=(Step("Use https://"), Step("If the network is trusted, pass allow_plaintext=True in code")),
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.token_malformed",
        "the token can't be one: something was pasted with it, or instead of it",
        causes=(
            "a newline or a space at its end",
            "quotes that the shell or the env file did not take off",
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
            "quotes or white space were pasted with it",
            "the token was put in its place",
        ),
        remedy="Copy the HMAC secret from where the agent was created: a new agent has a new one",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.secret_unreadable",
        "a file that settings are to be read from can't be read",
        causes=(
            "the file belongs to another user than the one that this runs as",
            "the secret is not mounted at that path",
            "the path is relative to another directory",
        ),
        remedy="Make the file readable for the user that the service runs as, or correct its path",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.disabled",
        "the agent is switched off: it will not connect, however well all of this is",
        status=Status.WARN,
        causes=("Z4J_DISABLED is set on purpose", "Z4J_DISABLED was left from tests or from an incident"),
        remedy="Unset Z4J_DISABLED if the service needs its agent",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
    Code(
        "config.unknown_variable",
        "a variable is set that nothing reads, and its name is close to one that is read",
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
        "a setting has a value that it can't have",
        causes=(
            "a typing error",
            "a placeholder that is not filled in",
            "a proxy variable that is no http:// URL",
        ),
        remedy="Correct the setting that is named, or unset it for its default",
        heals=Heals.NOT_IN_THIS_PROCESS,
    ),
)
