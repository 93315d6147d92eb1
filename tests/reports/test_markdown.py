"""Markdown, read by a CommonMark parser with GitHub's tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from lxml import etree, html
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.support.reports import EXPIRED, HOSTILE, expired_certificate, green, hostile, warned
from z4j_fastapi.reports.html import render as render_html
from z4j_fastapi.reports.markdown import render
from z4j_fastapi.reports.text import printable
from z4j_probes import Report

_PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OURS = ("<details><summary>Settings</summary>", "<details><summary>Evidence</summary>", "</details>")


def page(report: Report) -> etree._Element:
    """The document as it is shown."""
    root: etree._Element = html.fragment_fromstring(_PARSER.render(render(report)), create_parent=True)
    return root


def rows(report: Report) -> list[list[str]]:
    """The first table's rows."""
    table = page(report).find(".//table/tbody")
    assert table is not None
    return [["".join(map(str, cell.itertext())) for cell in row] for row in table]


def tokens(report: Report) -> Iterator[Token]:
    for token in _PARSER.parse(render(report)):
        yield token
        yield from token.children or ()


def test_each_probe_is_a_row() -> None:
    found = rows(expired_certificate())

    assert [row[0] for row in found] == [
        "config",
        "buffer",
        "dns",
        "tcp",
        "tls",
        "websocket",
        "auth",
        "signing",
    ]
    assert found[4] == ["tls", "❌ fail", EXPIRED, "41.0 ms"]
    assert found[5] == ["websocket", "➖ skip", "tls failed", ""]


def test_settings_are_called_as_on_the_page_for_people() -> None:
    tables = page(green()).findall(".//table/tbody")
    labels = [row[0].text for row in tables[1]]

    assert labels == ["Brain", "Project", "Agent", "Token", "Secret", "State directory", "Runs as"]
    assert [f"<dt>{label}</dt>" for label in labels if f"<dt>{label}</dt>" not in render_html(green())] == []


@pytest.mark.parametrize(
    ("report", "title"),
    [
        (green(), "✅ z4j doctor: passed"),
        (warned(), "⚠️ z4j doctor: passed, with warnings"),
        (replace(warned(), strict=True), "❌ z4j doctor: tcp.partial"),
        (expired_certificate(), "❌ z4j doctor: tls.expired"),
        (replace(green(), interrupted=True), "❔ z4j doctor: interrupted"),
    ],
)
def test_the_title_is_the_verdict(report: Report, title: str) -> None:
    heading = page(report).find("h2")

    assert heading is not None
    assert "".join(map(str, heading.itertext())) == title


def test_commands_stand_in_blocks_of_their_own() -> None:
    blocks = [token.content for token in tokens(expired_certificate()) if token.info == "sh"]

    assert blocks == [
        "sudo certbot renew --cert-name brain.example --deploy-hook 'systemctl reload nginx'\n",
    ]


def test_what_a_peer_says_stays_text() -> None:
    report = hostile()
    kinds = {token.type for token in tokens(report)}

    assert not kinds & {"link_open", "image", "em_open", "s_open", "html_inline", "ordered_list_open"}
    assert {t.content.strip() for t in tokens(report) if t.type == "html_block"} <= set(OURS)
    assert len(rows(report)) == 8
    said = rows(report)[0][2].replace("\u2060", "")
    assert said.split() == printable(HOSTILE).split()


def test_nobody_is_mentioned_and_nothing_is_linked_by_itself() -> None:
    text = render(expired_certificate(message="@someone https://evil.example www.evil.example :smile:"))

    for mark in ("@someone", "https://evil", "www.evil", " :smile:"):
        assert mark not in text
