"""The shell of an HTML page: one file, no script, nothing loaded from anywhere.

Its content security policy says the same to the browser, so that even a mistake of ours in escaping what a
peer sent could neither run nor fetch anything.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Iterable
from html import escape
from pathlib import Path

from z4j_fastapi.reports.text import printable, sentence
from z4j_probes.result import Step


def document(title: str, *sections: str) -> str:
    """The page around these sections, which are HTML; the title is text."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; base-uri 'none'"
    )
    body = "\n".join(sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<link rel="icon" href="data:,">
<title>{text(title)}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def text(value: object) -> str:
    """Text for the inside of an element or of a quoted attribute, without control characters."""
    return escape(printable(str(value)))


def advice(steps: Iterable[Step]) -> str:
    """What to do, with each command in a box in which one click selects it."""
    parts = []
    for step in steps:
        parts += [f"<p>{text(sentence(step))}</p>"] if step.text else []
        parts += [f'<pre class="command">{text(step.command)}</pre>'] if step.command else []
    return "".join(parts)


@functools.cache
def _style() -> str:
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")
