from __future__ import annotations

import importlib
import sys

import pytest

from z4j_fastapi.cli.late import load_late

NAME = "xml.sax.handler"


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small module that is not loaded, and is as it was afterwards."""
    monkeypatch.setattr("xml.sax.handler", importlib.import_module(NAME))
    monkeypatch.delitem(sys.modules, NAME)


@pytest.mark.usefixtures("handler")
def test_a_module_is_loaded_by_its_first_use_and_not_by_imports() -> None:
    load_late(NAME)
    late = importlib.import_module(NAME)
    assert importlib.import_module(NAME) is late
    assert "ContentHandler" not in vars(late)
    assert late.ContentHandler is sys.modules[NAME].ContentHandler
    assert "ContentHandler" in vars(sys.modules[NAME])
    assert late.ErrorHandler is sys.modules[NAME].ErrorHandler  # whoever has it keeps using it


@pytest.mark.usefixtures("handler")
def test_a_module_is_found_in_its_package() -> None:
    load_late(NAME)
    import xml.sax

    assert vars(xml.sax)["handler"] is sys.modules[NAME]
    assert xml.sax.handler.ContentHandler is importlib.import_module(NAME).ContentHandler


@pytest.mark.usefixtures("handler")
def test_what_is_not_in_it_is_an_attribute_error() -> None:
    load_late(NAME)
    with pytest.raises(AttributeError):
        importlib.import_module(NAME).no_such_thing  # noqa: B018


def test_a_module_that_is_loaded_stays() -> None:
    load_late("json")
    assert sys.modules["json"] is importlib.import_module("json")
