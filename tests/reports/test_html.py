"""The page, opened in a real browser."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree, html

from tests.support.browser import console, dom, screenshot, widths
from tests.support.reports import (
    EXPIRED,
    HOSTILE,
    expired_certificate,
    green,
    hostile,
    report,
    several_causes,
    warned,
)
from z4j_fastapi.reports.html import render
from z4j_fastapi.reports.text import printable
from z4j_probes import Report, Step

pytestmark = pytest.mark.component

LOADING = ("src", "srcset", "data", "poster", "background", "action", "formaction", "xlink:href")


def text(element: etree._Element | None) -> str:
    assert element is not None
    return " ".join("".join(map(str, element.itertext())).split())


def page(report: Report) -> etree._Element:
    return html.document_fromstring(render(report))


def url(report: Report, directory: Path) -> str:
    file = directory / "report.html"
    file.write_text(render(report), encoding="utf-8")
    return file.as_uri()


@pytest.mark.parametrize(
    ("made", "title"),
    [
        (green(), "The agent can connect."),
        (warned(), "The agent can connect."),
        (replace(green(), interrupted=True), "Interrupted after 0.2 s: the result is incomplete."),
        (expired_certificate(), f"tls failed: {EXPIRED}"),
        (
            replace(warned(), strict=True),
            "tcp warning: 203.0.113.7 accepts, [2001:db8::7] does not: connection timed out",
        ),
    ],
)
def test_the_headline_is_the_verdict(made: Report, title: str) -> None:
    assert text(page(made).find(".//h1")) == title


def test_of_several_causes_the_headline_is_short_and_each_has_its_fix() -> None:
    root = page(several_causes())
    title = "config failed: 1 required setting is missing, 2 more problems"
    assert text(root.find(".//header//h1")) == title
    assert len(root.findall(".//header//div[@class='advice']/p")) == 3
    assert len(root.findall(".//li[@class='rung fail']//div[@class='advice']")) == 3


def test_the_fix_stands_on_top_with_its_command() -> None:
    first = page(expired_certificate()).find(".//div[@class='first']")

    assert text(first).startswith("Fix")
    assert first is not None
    assert text(first.find(".//pre")).startswith("sudo certbot renew")


async def test_a_browser_shows_every_probe_with_its_verdict(tmp_path: Path) -> None:
    shown = html.document_fromstring(await dom(url(expired_certificate(), tmp_path)))

    verdicts = {text(rung.find(".//h3")): str(rung.get("class")) for rung in shown.iter("li")}
    assert verdicts["dns"] == "rung pass"
    assert verdicts["tls"] == "rung fail"
    assert verdicts["signing"] == "rung skip"
    assert shown.find(".//li[@class='rung fail']//details[@open]") is not None


async def test_what_a_peer_says_stays_text(tmp_path: Path) -> None:
    shown = html.document_fromstring(await dom(url(hostile(), tmp_path)))

    assert list(shown.iter("script", "a", "img", "iframe")) == []
    said = text(shown.find(".//li[1]/p"))
    assert said.replace("`", "").split() == printable(HOSTILE).replace("`", "").split()


async def test_the_browser_has_nothing_to_complain_of(tmp_path: Path) -> None:
    assert await console(url(expired_certificate(), tmp_path)) == []


@pytest.mark.parametrize("made", [green(), expired_certificate(), hostile()])
def test_nothing_is_loaded_and_nothing_runs(made: Report) -> None:
    root = page(made)

    for element in root.iter(etree.Element):
        assert element.tag not in ("script", "img", "iframe", "object", "embed", "base", "form")
        assert not {name for name in element.attrib if name in LOADING or str(name).startswith("on")}
        assert element.tag != "link" or element.get("href") == "data:,"
    style = text(root.find(".//style"))
    assert "url(" not in style
    assert "@import" not in style


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize(
    "made",
    [
        expired_certificate(),
        several_causes(),
        hostile(),
        report(replace(warned().results[3], message="m" * 300, steps=(Step("Run it", f"{'c' * 300} x"),))),
    ],
    ids=["red", "several causes", "hostile", "long words"],
)
async def test_the_page_is_no_wider_than_its_window(tmp_path: Path, made: Report, width: int) -> None:
    window, content = await widths(render(made), tmp_path, width)

    assert window >= width - 20
    assert content == window


async def test_dark_is_dark_and_light_is_light(tmp_path: Path) -> None:
    page_url = url(green(), tmp_path)
    sizes = {}
    for dark in (False, True):
        file = tmp_path / f"{dark}.png"
        await screenshot(page_url, file, width=800, height=600, dark=dark)
        sizes[dark] = _top_left(file)

    assert sum(sizes[False]) > 3 * 200
    assert sum(sizes[True]) < 3 * 50


def _top_left(file: Path) -> tuple[int, int, int]:
    """The colour of a PNG's first pixel, which no filter has a neighbour for."""
    import zlib

    data, position, pixels = file.read_bytes(), 8, b""
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        if data[position + 4 : position + 8] == b"IDAT":
            pixels += data[position + 8 : position + 8 + length]
        position += length + 12
    red, green_, blue = zlib.decompress(pixels)[1:4]
    return red, green_, blue
