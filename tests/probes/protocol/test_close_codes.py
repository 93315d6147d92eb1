"""What each close code means, by how far a connection has come: one table for the rungs and a session."""

from __future__ import annotations

import pytest

from z4j_probes.codes import CATALOGUE
from z4j_probes.protocol import CloseCode, Meaning, meaning_of


@pytest.mark.parametrize(
    ("close_code", "before_hello_ack", "before_first_ack", "in_session"),
    [
        (None, "auth.closed", "signing.closed", "session.lost"),
        (1000, "auth.closed", "signing.closed", "session.lost"),
        (1011, "auth.closed", "signing.closed", "session.lost"),
        (4002, "auth.closed", "signing.closed", "session.lost"),
        (4003, "auth.revoked", "signing.closed", "auth.revoked"),
        (4400, "auth.hello_rejected", "signing.closed", "session.lost"),
        (4401, "auth.token_rejected", "signing.closed", "auth.token_rejected"),
        (4403, "auth.address_refused", "signing.secret_wrong", "session.lost"),
        (4408, "auth.closed", "signing.closed", "session.lost"),
        (4426, "auth.protocol_unsupported", "signing.closed", "auth.protocol_unsupported"),
        (4427, "auth.version_skew", "signing.closed", "auth.version_skew"),
        (4429, "auth.rate_limited", "signing.closed", "auth.rate_limited"),
        (4999, "auth.closed", "signing.closed", "session.lost"),
    ],
)
def test_a_close_code_means_what_its_moment_makes_of_it(
    close_code: int | None, before_hello_ack: str, before_first_ack: str, in_session: str
) -> None:
    assert meaning_of(close_code) == Meaning(before_hello_ack, before_first_ack, in_session)


@pytest.mark.parametrize("close_code", [1001, 1012, 1013])
def test_a_brain_that_restarts_is_on_its_way_back(close_code: int) -> None:
    assert meaning_of(close_code) == Meaning(is_restart=True)


def test_every_meaning_is_in_the_catalogue() -> None:
    meanings = {code for close_code in CloseCode for code in meaning_of(close_code)[:3]}
    assert meanings <= CATALOGUE.keys()
