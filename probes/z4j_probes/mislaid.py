"""Secrets that were put where something else belongs: the name of their file, the brain's address.

They must not be shown there, and nobody but their owner knows for certain that they are any: what looks like
one is taken for one.
"""

from __future__ import annotations

# Shorter names of files and hosts without a dot are common; tokens and secrets are longer.
_SHORTEST_FOR_A_FILE = 16
_SHORTEST_FOR_A_URL = 20


def is_secret_as_file_name(text: str) -> bool:
    """Whether a name under which there is no file looks like what the file should have held."""
    return len(text) >= _SHORTEST_FOR_A_FILE and _is_opaque(text, but=".~")


def is_secret_as_url(text: str) -> bool:
    """Whether what stands for a brain URL looks like its token or secret."""
    return len(text) >= _SHORTEST_FOR_A_URL and _is_opaque(text, but=".:")


def _is_opaque(text: str, *, but: str) -> bool:
    # words alone are a name: chance writes no token without a digit or a capital
    is_random = any(c.isdigit() or c.isupper() for c in text.replace("z4j", "").replace("Z4J", ""))
    # base64 has slashes too, but ends as no path does
    is_path = "/" in text and not text.rstrip().endswith("=")
    return is_random and not is_path and not any(c in text for c in but)
