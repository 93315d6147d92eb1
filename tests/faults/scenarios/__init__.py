"""The scenarios, by subject: importing a module enters its faults and setups into the matrix."""

from __future__ import annotations

import importlib
import pkgutil


def load() -> None:
    """Enter all of them."""
    for found in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(found.name)
