"""Where a value came from: the words of reports, and what a sentence calls it."""

from __future__ import annotations

import pytest

from z4j_probes.source import ARGUMENT, Kind, Source

ENV_FILE = "/etc/app (prod)/web.env"


@pytest.mark.parametrize(
    ("source", "shown", "name"),
    [
        (ARGUMENT, "argument", "the token argument"),
        (Source(Kind.ARGUMENT, secret_file="/run/token"), "argument (/run/token)", "/run/token"),
        (Source(Kind.ENVIRONMENT, "Z4J_TOKEN"), "env Z4J_TOKEN", "Z4J_TOKEN"),
        (
            Source(Kind.ENVIRONMENT, "Z4J_TOKEN_FILE", secret_file="/run/token"),
            "env Z4J_TOKEN_FILE (/run/token)",
            "Z4J_TOKEN_FILE (/run/token)",
        ),
        (
            Source(Kind.ENV_FILE, "Z4J_TOKEN", ENV_FILE),
            f"file {ENV_FILE} Z4J_TOKEN",
            f"Z4J_TOKEN in {ENV_FILE}",
        ),
        (
            Source(Kind.ENV_FILE, "Z4J_TOKEN_FILE", ENV_FILE, "/run/token"),
            f"file {ENV_FILE} Z4J_TOKEN_FILE (/run/token)",
            f"Z4J_TOKEN_FILE (/run/token) in {ENV_FILE}",
        ),
        (Source(Kind.DEFAULT), "default", "the token default"),
        (Source(Kind.HOST_NAME), "default (host name)", "the token default (host name)"),
    ],
)
def test_a_source_has_one_form_for_reports_and_one_for_sentences(
    source: Source, shown: str, name: str
) -> None:
    assert str(source) == shown
    assert source.name_of("token") == name
