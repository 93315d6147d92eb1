"""What MkDocs asks while it builds the site: the pages of docs/probes belong to its menu."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    """Put a page for each probe behind the index of codes, in the index's order."""
    index = Path(config.docs_dir, "probes", "index.md").read_text().splitlines()
    headings = [line for line in index if line.startswith("## [")]
    pages = [f"probes/{line[len('## [') :].partition(']')[0]}.md" for line in headings]
    for section in config.nav:
        if isinstance(section, dict) and "Codes" in section:
            section["Codes"] += pages
    return config
