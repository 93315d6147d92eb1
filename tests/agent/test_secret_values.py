"""Secrets in texts: in URLs, connection strings, queries and JSON, as people write and log them."""

from __future__ import annotations

import time

import pytest

from z4j_fastapi.agent.events import EventEncoder

redacted = EventEncoder().redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://u:p/hunter2@h/db", "postgres://[redacted]@h/db"),
        ("postgres://u:p@hunter2@h/db", "postgres://[redacted]@h/db"),
        (
            "can't connect to redis://:hunter2@h:1, retrying",
            "can't connect to redis://[redacted]@h:1, retrying",
        ),
        ("host=db password=hunter2 user=x", "host=db [redacted] user=x"),
        ("Server=x;User Id=sa;Password=hunter2;", "Server=x;User Id=sa;[redacted];"),
        ('{"user": "u", "password": "hunter2"}', '{"user": "u", "[redacted]"}'),
        ("https://x/?access_token=hunter2&a=1", "https://x/?access_[redacted]&a=1"),
        ("PGPASSWORD=hunter2 psql", "PG[redacted] psql"),
        ("github_pat_" + "a" * 40, "[redacted]"),
        ("sk-svcacct-" + "a" * 40, "[redacted]"),
        ("Bearer\thunter2hunter2", "[redacted]"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nhunter2", "[redacted]"),
    ],
)
def test_a_secret_in_a_text_is_redacted(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens=4096, token_count=12",
        "unexpected token: something else",
        "    token = self.request(url, token=self.token)",
        "password=os.environ['X'], secret=get_secret(name)",
        "https://example.com:8080/a?mail=a@b.example",
    ],
)
def test_what_only_looks_like_one_is_told(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "part",
    ["://a:", "a:b", "token=", '"token":', "password ", "_", "a-", "token=a.", 'token" :', "eyJ", "-eyJ"],
)
def test_no_text_makes_the_host_wait(part: str) -> None:
    text = f"://{part * 8192}"[:8192] + "token="
    began_s = time.thread_time()
    redacted(text)
    assert time.thread_time() - began_s < 0.1
