"""Redaction: what looks like a secret in what a host hands over, by its name or by its value."""

from __future__ import annotations

import itertools
import re
from functools import cache

REDACTED = "[redacted]"

# Words, not substrings: `max_tokens` and `tokenizer` are no secrets.
_SECRET_WORDS = frozenset(
    {"password", "passwd", "pwd", "passphrase", "secret", "token", "authorization", "cookie", "cookies"}
    | {"apikey", "credential", "credentials", "csrf", "otp", "privatekey", "sessionid"}
    | {"passwords", "secrets", "tokens", "apikeys", "accesstoken", "clientsecret", "jwt", "bearer", "dsn"}
)
_SECRET_PAIRS = frozenset(
    {"apikey", "privatekey", "sessionid", "accesskey", "setcookie", "signingkey"}
    | {"apikeys", "privatekeys", "accesskeys", "dbpass"}
)
# A count of language-model tokens, not a token.
_COUNTS = frozenset(
    {"max", "min", "num", "total", "prompt", "completion", "input", "output", "count", "used"}
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

# Values that are secrets whatever their key: JSON Web Tokens, authorization headers, passwords in URLs,
# private keys, and the keys of vendors that mark theirs. A pattern is tried only where one of its marks is in
# the text: that search costs a microsecond where all patterns together take milliseconds for 8 KiB.
SECRET_PATTERNS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("eyJ",), r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
    (
        ("earer ", "earer\t", "earer:", "asic ", "EARER ", "ASIC "),
        r"(?i:\b(?:bearer|basic)[\s:]+)[\w.~+/=-]{12,}",
    ),
    # a password may have / and @ in it; behind a port there is a path, and one scan never enters the next URL
    (("://",), r"(?<=://)[^\s/@:]*:(?!\d{1,5}[/?#])(?:(?!://)[^\s\"'<>]){1,256}(?=@)"),
    (
        ("PRIVATE KEY",),
        r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    ),
    (("AKIA", "ASIA"), r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    (("AIza",), r"\bAIza[\w-]{35}"),
    (
        ("sk-", "sk_", "pk_", "rk_"),
        r"\b(?:[spr]k[-_](?:live|test|proj|ant|svcacct|admin)[-_][\w-]{16,}|sk-[A-Za-z0-9]{32,})",
    ),
    (("gh", "pat_", "pat-"), r"\b(?:gh[pousr]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20,})"),
    (("xox",), r"\bxox[abeprs]-[\w-]{10,}"),
    (("SG.",), r"\bSG\.[\w-]{16,}\.[\w-]{16,}"),
    (("npm_", "pypi-", "hvs."), r"\b(?:npm_\w{36}|pypi-[\w-]{32,}|hvs\.[\w-]{24,})"),
    # in a query, a connection string or JSON, by its name; not a number, nor an expression in a line of code
    (
        tuple(
            f"{name}{sign}"
            for name in (
                *("assword", "ASSWORD", "asswd", "ecret", "ECRET", "oken", "OKEN"),
                *("pi_key", "PI_KEY", "pwd", "Pwd", "PWD"),
            )
            for sign in "=\"'"
        ),
        r"(?:password|Password|PASSWORD|passwd|secret|Secret|SECRET|token|Token|TOKEN|api_key|API_KEY|pwd|Pwd|PWD)"
        r"(?:[\"']\s?:\s?|=)[\"']?(?!\d+\b|[\w.]*[(\[]|[a-z_]\w*\.[a-z_])[^\s\"'&;,<>)]{6,}",
    ),
)
SHORTEST = 10
"""No pattern but that for URLs finds anything in a shorter text."""
_URL = "://"


def _by_sign() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The marks by a character of theirs that few texts have: most texts are done with after a few looks."""
    found: dict[str, list[str]] = {}
    for mark in (mark for marks, _ in SECRET_PATTERNS for mark in marks):
        rare = [c for c in reversed(mark) if not c.isalnum()] + [c for c in mark if c.isupper()]
        found.setdefault(rare[0] if rare else mark, []).append(mark)
    return tuple((sign, tuple(marks)) for sign, marks in found.items())


_MARKS_BY_SIGN = _by_sign()


class Redaction:
    """`keys` adds words to those that mark a secret; `patterns` regular expressions to those for values.

    Raises re.error for what is none.
    """

    def __init__(self, keys: tuple[str, ...] = (), patterns: tuple[str, ...] = ()) -> None:
        self._own = tuple(re.compile(pattern) for pattern in patterns)
        words = _SECRET_WORDS | {word.lower().replace("_", "").replace("-", "") for word in keys}
        pairs = words | _SECRET_PAIRS

        def marks_secret(name: str) -> bool:
            parts = [part.lower() for part in _WORDS.findall(name)]
            if parts and parts[-1] == "tokens" and not _COUNTS.isdisjoint(parts):
                return False
            joined = [a + b for a, b in itertools.pairwise(parts)]
            return not (words.isdisjoint(parts) and pairs.isdisjoint(joined))

        self.marks_secret = marks_secret
        """Whether a value of that name is a secret."""

    def text(self, text: str) -> str:
        """The text without what looks like a secret."""
        if len(text) >= SHORTEST or _URL in text:
            for sign, marks in _MARKS_BY_SIGN:
                if sign in text and _has_one(text, marks):
                    text = _without_known(text)
                    break
        if self._own:
            for pattern in self._own:
                text = pattern.sub(REDACTED, text)
        return text


def _has_one(text: str, marks: tuple[str, ...]) -> bool:
    return any(mark in text for mark in marks)


def _without_known(text: str) -> str:
    for marks, pattern in SECRET_PATTERNS:
        if _has_one(text, marks):
            text = _compiled(pattern).sub(REDACTED, text)
    return text


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern takes a millisecond to compile, and most services never meet a mark of most of them."""
    return re.compile(pattern, re.DOTALL)
