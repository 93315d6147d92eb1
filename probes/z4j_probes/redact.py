"""Secrets: a value that does not show itself, the last sieve before a text leaves the ladder, and what looks
like a secret where something else belongs (the name of its file, the brain's address): it is treated as one.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any

REDACTED = "[redacted]"
# Replacing shorter texts would shred the message without hiding much.
_SHORTEST = 4
# What `html.escape` does, without the two thousand names that its module loads into every service.
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
# As much of a foreign text as a row of evidence has room for.
EXCERPT_LENGTH = 200


# Shorter names of files and hosts without a dot are common; tokens and secrets are longer.
_SHORTEST_FOR_A_FILE = 16
_SHORTEST_FOR_A_URL = 20


class Secret:
    """A string that shows only that it is set; `reveal()` is the one way to its value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the wire only."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a Secret is not pickled")


class Redactor:
    """Replaces known secrets in texts and in JSON-like evidence, in their usual encodings too."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in secrets:
            # bytes of an environment that are not UTF-8 are surrogates
            percent = urllib.parse.quote(secret, safe="", errors="surrogateescape")
            quoted = (percent, repr(secret)[1:-1], secret.translate(_HTML))
            for form in (secret, secret.strip(), *quoted):
                if len(form) >= _SHORTEST:
                    forms.add(form)
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without the secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, REDACTED)
        return text

    def excerpt(self, text: str, *, cut: bool = False) -> str:
        """The beginning of a foreign text, on one line, printable characters only.

        Secrets go first: cutting before that could leave half of one, which nothing would recognize. Where
        another has `cut` it, or its rest has not arrived, an end that begins a secret goes as well.
        """
        text = self.text(text)
        if cut:
            text = self._without_half_a_secret(text)
        if not text.isprintable():
            text = "".join(c if c.isprintable() else " " for c in text)
        return " ".join(text.split())[:EXCERPT_LENGTH]

    def _without_half_a_secret(self, text: str) -> str:
        halves = (form[:length] for form in self._forms for length in range(len(form) - 1, _SHORTEST - 1, -1))
        half = next((half for half in halves if text.endswith(half)), "")
        return text.removesuffix(half) + REDACTED if half else text

    def value(self, value: Any) -> Any:
        """The JSON-like value with every string in it, keys included, redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(k)): self.value(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(v) for v in value]
        return value


def is_secret_as_file_name(text: str) -> bool:
    """Whether a name under which there is no file looks like what the file should have held."""
    return len(text) >= _SHORTEST_FOR_A_FILE and _is_opaque(text, unless=".~")


def is_secret_as_url(text: str) -> bool:
    """Whether what stands for a brain URL looks like its token or secret."""
    return len(text) >= _SHORTEST_FOR_A_URL and _is_opaque(text, unless=".:")


def _is_opaque(text: str, *, unless: str) -> bool:
    # words only are a name: chance writes no token without a digit or a capital
    is_random = any(c.isdigit() or c.isupper() for c in text.replace("z4j", "").replace("Z4J", ""))
    # base64 has slashes too, but ends as no path does
    is_path = "/" in text and not text.rstrip().endswith("=")
    return is_random and not is_path and not any(c in text for c in unless)
