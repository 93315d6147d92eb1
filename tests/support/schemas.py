"""The project's JSON schemas, ready to hold documents to them."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

# Where each one is shipped.
_PACKAGES = {
    "z4j.doctor": "z4j_fastapi.reports",
    "z4j.reports": "z4j_fastapi.reports",
    "z4j.info": "z4j_fastapi.cli",
    "z4j.status": "z4j_fastapi.cli",
}
NAMES = tuple(_PACKAGES)


def check(document: Any, name: str) -> None:
    """Hold a document to the schema of that name; jsonschema.ValidationError where it is not of it."""
    _validator(name).validate(document)


def schema(name: str) -> Any:
    """The schema itself."""
    file = resources.files(_PACKAGES[name]) / f"{name}.v1.schema.json"
    return json.loads(file.read_text(encoding="utf-8"))


@cache
def _validator(name: str) -> Any:
    """Made once: checking the schema itself, as `jsonschema.validate` does, takes longer than a report."""
    import jsonschema  # type: ignore[import-untyped]

    return jsonschema.Draft202012Validator(schema(name))
