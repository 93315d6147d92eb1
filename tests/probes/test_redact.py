"""Redaction: a secret shows only that it is set, and no text that met it keeps it."""

from __future__ import annotations

import copy
import pickle

import pytest

from z4j_probes.redact import REDACTED, Redactor, Secret

TOKEN = "to/ken+with\\odd 'parts'"


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(TOKEN)
    assert TOKEN not in f"{secret} {secret!r} {[secret]} {secret!s}"
    assert secret.reveal() == TOKEN
    assert not hasattr(secret, "__dict__")


def test_a_secret_is_not_pickled() -> None:
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(TOKEN))
    with pytest.raises(TypeError):
        copy.deepcopy(Secret(TOKEN))


def test_secrets_compare_by_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {TOKEN}",
        "GET /?t=to%2Fken%2Bwith%5Codd%20%27parts%27",
        f"invalid header value {TOKEN!r}",
        f"{TOKEN}{TOKEN}",
        "<p>to/ken+with\\odd &#x27;parts&#x27;</p>",
    ],
)
def test_a_text_loses_the_secret_in_its_usual_encodings(text: str) -> None:
    redacted = Redactor([TOKEN]).text(text)
    assert REDACTED in redacted
    assert "ken" not in redacted


def test_a_secret_that_was_read_with_white_space_is_found_without_it() -> None:
    assert Redactor(["s3cr3t\n"]).text("is s3cr3t") == f"is {REDACTED}"


def test_the_longest_secret_goes_first() -> None:
    assert Redactor(["pass", "user:password"]).text("user:password") == REDACTED


def test_evidence_is_redacted_in_depth_and_in_its_keys() -> None:
    evidence = {"headers": [("x", "s3cr3t")], "s3cr3t": {"n": 1, "t": (True, None)}}
    assert Redactor(["s3cr3t"]).value(evidence) == {
        "headers": [["x", REDACTED]],
        REDACTED: {"n": 1, "t": [True, None]},
    }


def test_half_a_secret_at_the_end_of_a_text_that_was_cut_goes_too() -> None:
    redactor = Redactor(["s3cr3t-of-the-agent"])
    assert redactor.excerpt("you sent s3cr3t-of", cut=True) == f"you sent {REDACTED}"
    assert redactor.excerpt("you sent s3cr3t-of", cut=False) == "you sent s3cr3t-of"
    assert redactor.excerpt("you sent something", cut=True) == "you sent something"


def test_a_very_short_secret_does_not_shred_the_text() -> None:
    assert Redactor(["a", ""]).text("a banana") == "a banana"
