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
_NAMES = (
    *("assword", "ASSWORD", "asswd", "ecret", "ECRET", "oken", "OKEN"),
    *("pi_key", "PI_KEY", "pwd", "Pwd", "PWD"),
)
_ASSIGNS = "=\"'"
_GITLAB = ("pat", "dt", "rt", "rtr", "cbt", "ptt", "ft", "soat", "agent", "imt", "oas", "ffct")
SECRET_PATTERNS: tuple[tuple[tuple[str, ...], str], ...] = (
    # each word is looked at once, from where it begins, in whatever it has more than one of these
    (("eyJ",), r"(?<![\w-])(?=[\w-]*?eyJ[\w-]{8})[\w-]++\.[\w-]{8,}+\.[\w-]*+"),
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
    (("gh", "pat_"), r"\b(?:gh[pousr]_\w{30,}|github_pat_\w{30,}|dckr_pat_[\w-]{20,})"),
    (
        tuple(f"gl{kind}-" for kind in _GITLAB),
        rf"\bgl(?:{'|'.join(_GITLAB)})-[\w-]{{20,}}(?:\.\w{{2}}\.\w{{9}})?",
    ),
    (("xox", "xapp-"), r"\b(?:xox[abeprs]|xapp)-[\w-]{10,}"),
    (("SG.",), r"\bSG\.[\w-]{16,}\.[\w-]{16,}"),
    (("npm_", "pypi-", "hvs."), r"\b(?:npm_\w{36}|pypi-[\w-]{32,}|hvs\.[\w-]{24,})"),
    (("hf_", "whsec_"), r"\b(?:hf_[A-Za-z0-9]{30,}|whsec_[A-Za-z0-9+/]{24,}=*)"),
    (("shpat_", "shpss_", "shpca_"), r"\bshp(?:at|ss|ca)_[0-9a-fA-F]{32}\b"),
    (("_v1_",), r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
    (("GOCSPX-", "ya29.", "1//0"), r"\b(?:GOCSPX-[\w-]{20,}|ya29\.[\w-]{20,}|1//0[\w-]{30,})"),
    (("SECRET-KEY-",), r"\bAGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{50,}"),
    # an object's key in a cache may be called key-, and a digest follows it: only where nothing stands before
    (("key-",), r"(?<![\w.:/-])key-[0-9a-f]{32}\b"),
    ((":AA",), r"(?<!\d)\d{8,10}:AA[\w-]{33}(?![\w-])"),
    # addresses that let anyone who knows them send, or read
    (("hooks.slack",), r"\bhooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[\w/-]{20,}"),
    (
        ("/webhook",),
        r"(?<=/webhooks/)\d{17,20}/[\w-]{60,}|(?<=/webhookb2/)[\w@-]{36,}/IncomingWebhook/[\w/-]{32,}",
    ),
    (
        ("sig=", "Signature="),
        r"(?<=[?&;]sig=)[\w%+/-]{24,}=*|(?<=[?&;-]Signature=)[\w~%+/-]{40,}=*",
    ),
    (("tKey=", "sKey="), r"(?<=(?:Account|.Access)Key=)[A-Za-z0-9+/%]{40,}=*"),
    # in a query, a connection string or JSON, by its name; not a number, nor an expression in a line of code
    (
        tuple(f"{name}{sign}" for name in _NAMES for sign in _ASSIGNS),
        r"(?:password|Password|PASSWORD|passwd|secret|Secret|SECRET|token|Token|TOKEN|api_key|API_KEY|pwd|Pwd|PWD)"
        r"(?:[\"']\s?:\s?|=)[\"']?(?!\d+\b|[\w.]*[(\[]|[a-z_]\w*\.[a-z_])[^\s\"'&;,<>)]{6,}",
    ),
)
SHORTEST = 10
"""No pattern but that for URLs finds anything in a shorter text."""
_URL = "://"
# Of two letters, but in fewer texts than a hyphen.
_RARE = ("gl",)


_MARKS_BY_NAME = tuple((name, tuple(f"{name}{sign}" for sign in _ASSIGNS)) for name in _NAMES)


def _by_sign() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The marks by a character of theirs that few texts have: most texts are done with after a few looks."""
    found: dict[str, list[str]] = {}
    named = {mark for _, marks in _MARKS_BY_NAME for mark in marks}
    for mark in (mark for marks, _ in SECRET_PATTERNS for mark in marks if mark not in named):
        rare = [sign for sign in _RARE if mark.startswith(sign)]
        rare += [c for c in reversed(mark) if not c.isalnum()] + [c for c in mark if c.isupper()]
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
        if (len(text) >= SHORTEST or _URL in text) and _has_a_mark(text):
            text = _without_known(text)
        if self._own:
            for pattern in self._own:
                text = pattern.sub(REDACTED, text)
        return text


# Loops, for any() makes a generator each time, which takes longer than several marks.


def _has_a_mark(text: str) -> bool:
    for sign, marks in _MARKS_BY_SIGN:
        if sign in text:
            for mark in marks:
                if mark in text:
                    return True
    if "=" in text or '"' in text or "'" in text:
        for name, marks in _MARKS_BY_NAME:
            if name in text and _has_one(text, marks):
                return True
    return False


def _has_one(text: str, marks: tuple[str, ...]) -> bool:
    for mark in marks:  # noqa: SIM110
        if mark in text:
            return True
    return False


def _without_known(text: str) -> str:
    for marks, pattern in SECRET_PATTERNS:
        if _has_one(text, marks):
            text = _compiled(pattern).sub(REDACTED, text)
    return text


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern takes a millisecond to compile, and most services never meet a mark of most of them."""
    return re.compile(pattern, re.DOTALL)
