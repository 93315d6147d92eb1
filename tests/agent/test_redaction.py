"""Redaction: what makes it fast leaves out no secret."""

from __future__ import annotations

import re
from re import _parser as parser  # type: ignore[attr-defined]  # typeshed has no private modules

import pytest
from hypothesis import given
from hypothesis import strategies as st

from z4j_fastapi.agent.redaction import REDACTED, SECRET_PATTERNS, SHORTEST, Redaction

REDACTION = Redaction()


def by_all_patterns(text: str) -> str:
    """The same by trying every pattern, one after the other."""
    for marks, pattern in SECRET_PATTERNS:
        if any(mark in text for mark in marks):
            text = re.sub(pattern, REDACTED, text, flags=re.DOTALL)
    return text


pieces = st.sampled_from([mark for marks, _ in SECRET_PATTERNS for mark in marks]) | st.text(max_size=4)
secrets = st.one_of([st.from_regex(re.compile(pattern, re.DOTALL)) for _, pattern in SECRET_PATTERNS])


@given(st.lists(pieces | secrets, max_size=6).map("".join))
def test_it_finds_what_all_patterns_find(text: str) -> None:
    assert REDACTION.text(text) == by_all_patterns(text)


@pytest.mark.parametrize(("marks", "pattern"), SECRET_PATTERNS)
def test_texts_that_are_not_looked_at_are_shorter_than_any_secret(
    marks: tuple[str, ...], pattern: str
) -> None:
    least, _ = parser.parse(pattern).getwidth()
    assert least >= SHORTEST or marks == ("://",)


def test_own_patterns_find_shorter_ones() -> None:
    assert Redaction((), (r"\d{3}", "x")).text("1234 x") == f"{REDACTED}4 {REDACTED}"


LETTERS = "q7Zk2mXw9TbR4nVc8LdJ5sHf3GyPo6Ea" * 6
HEX = "0a1b2c3d4e5f60718293a4b5c6d7e8f9" * 4
UPPER = "Q7ZK2MXW9TBR4NVC8LDJ5SHF3GYPU6EA" * 2
GUID = "b1946ac9-2f7e-4c55-9a07-5d1a2a4f0c11"
# Of each vendor: what is before the secret, the secret, and what is behind it. Put together here, so that no
# program that searches repositories for secrets finds any.
SECRETS = {
    "Hugging Face": ("", f"hf_{LETTERS[:34]}", ""),
    "Stripe webhooks": ("", f"whsec_{LETTERS[:32]}", ""),
    "standard webhooks": ("", f"whsec_{LETTERS[:16]}+/{LETTERS[:13]}=", ""),
    "Stripe": ("", f"sk_live_{LETTERS[:24]}", ""),
    **{f"Shopify {kind}": ("", f"shp{kind}_{HEX[:32]}", "") for kind in ("at", "ss", "ca")},
    "Slack app": ("", f"xapp-1-A0{UPPER[:9]}-1234567890123-{HEX[:64]}", ""),
    "Slack bot": ("", f"xoxb-123456789012-{LETTERS[:24]}", ""),
    "Slack webhook": ("https://", f"hooks.slack.com/services/T0{UPPER[:8]}/B0{UPPER[:8]}/{LETTERS[:24]}", ""),
    "Slack workflow": ("https://", f"hooks.slack.com/workflows/T0/A0/{UPPER[:18]}/{LETTERS[:24]}", ""),
    "Discord": ("https://discord.com/api/v10/webhooks/", f"123456789012345678/{LETTERS[:68]}", "?wait=true"),
    "Teams": (
        "https://a.webhook.office.com/webhookb2/",
        f"{GUID}@{GUID}/IncomingWebhook/{HEX[:32]}/{GUID}",
        "",
    ),
    "Azure SAS": ("https://a.blob.core.windows.net/b?sv=1&sig=", f"{LETTERS[:41]}%2B%3D", "&se=2026"),
    "Azure SAS in HTML": ("?sv=1&amp;sig=", f"{LETTERS[:43]}=", ""),
    "Azure storage": ("AccountName=a;AccountKey=", f"{LETTERS[:86]}==", ";EndpointSuffix=core.windows.net"),
    "Azure bus": ("SharedAccessKeyName=Root;SharedAccessKey=", f"{LETTERS[:43]}=", ""),
    "AWS presigned": ("https://b.s3.amazonaws.com/k?X-Amz-Signature=", HEX[:64], "&x-id=GetObject"),
    "CloudFront": ("https://a.cloudfront.net/k?Signature=", f"{LETTERS[:80]}~-__", "&Key-Pair-Id=K1"),
    "Google presigned": ("https://storage.googleapis.com/b/o?X-Goog-Signature=", HEX, ""),
    "Google client": ("", f"GOCSPX-{LETTERS[:28]}", ""),
    "Google access": ("", f"ya29.a0{LETTERS[:60]}", ""),
    "Google refresh": ("", f"1//0{LETTERS[:50]}", ""),
    "npm": ("", f"npm_{LETTERS[:36]}", ""),
    "PyPI": ("", f"pypi-AgEIcHlwaS5vcmc{LETTERS[:60]}", ""),
    "Docker": ("", f"dckr_pat_{LETTERS[:27]}", ""),
    **{f"DigitalOcean {kind}": ("", f"do{kind}_v1_{HEX[:64]}", "") for kind in "opr"},
    **{
        f"GitLab {kind}": ("", f"gl{kind}-{LETTERS[:20]}", "")
        for kind in ("pat", "dt", "rt", "rtr", "cbt", "ptt", "ft", "soat", "agent", "imt", "oas", "ffct")
    },
    "GitLab, routable": ("", f"glpat-{LETTERS[:27]}.01.{HEX[:9]}", "."),
    "Anthropic": ("", f"sk-ant-api03-{LETTERS[:80]}-AA", ""),
    "SendGrid": ("", f"SG.{LETTERS[:22]}.{LETTERS[:43]}", ""),
    "Mailgun": ("", f"key-{HEX[:32]}", ""),
    "Telegram": ("", f"123456789:AA{LETTERS[:33]}", ""),
    "Telegram's address": ("https://api.telegram.org/bot", f"123456789:AA{LETTERS[:33]}", "/sendMessage"),
    "age": ("", f"AGE-SECRET-KEY-1{UPPER[:58]}", ""),
    "age, post-quantum": ("", f"AGE-SECRET-KEY-PQ-1{UPPER[:58]}", ""),
    **{
        f"PEM {kind}": ("", f"-----BEGIN {kind}-----\n{LETTERS[:64]}\n-----END {kind}-----", "\n")
        for kind in ("RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK")
    },
}


@pytest.mark.parametrize(("before", "secret", "behind"), SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("around", ["{}", "sent with {} and failed", '{{"key": "{}"}}', "key='{}'", "({})"])
def test_what_a_vendor_marks_is_found_and_nothing_else(
    before: str, secret: str, behind: str, around: str
) -> None:
    text = around.format(f"{before}{secret}{behind}")
    assert REDACTION.text(text) == text.replace(secret, REDACTED)


ORDINARY = [
    "key-value store with a key- prefix",
    f"cache-key-{HEX[:32]}",
    f"cache:key-{HEX[:32]}",
    "sig= is what the query needs; sig=short, sig=%s",
    "https://a.example/verify?sig=ok&signature=none",
    "Signature=missing in the header",
    "Key=uploads/2026/11/26/customers/invoices/archive/all",
    "hf_model_name hf_hub_download whsec_ is the prefix",
    "shpat_ and shpss_ are Shopify's",
    "glpat-short global-settings single-page gl-module",
    "https://hooks.slack.com/services/ is Slack's address",
    "POST /webhooks/42/orders /webhooks/123456789012345678/retry",
    "12:30:AAA 123456789:AA 10:00:AA",
    "app_v1_users do_v1_migrate api_v1_" + HEX[:32],
    "1//0 1//2 http://a.example//0/x",
    "AGE-SECRET-KEY- is how age marks its keys",
    f"task {GUID} trace {HEX[:32]} digest sha256:{HEX[:64]}",
    f"npm_package_version npm_config_registry=https://a.example {UPPER[:12]}",
    "ya29 ya29. GOCSPX- xapp- dckr_pat_",
    "sk-learn sk_LEARN pk_id rk_id task-ant-farm",
]


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    assert REDACTION.text(text) == text
