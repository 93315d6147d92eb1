"""Texts as a person reads them, found in sources: what is said, and which of it the vocabulary rules out."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

# Left: what is not said. It is searched for in texts without code spans and quotes of commands.
BANNED = {
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bmisspelt\b": "misspelled",
    r"\bdial(s|l?ed|l?ing)?\b": "connect to",
    r"\b(who|what|when|where)ever\b": "name it",
    r"\b(nobody|somebody|anybody|everybody)\b": "no one, a user",
    r"\balone\b": "only",
    r"\bruns? out\b|\brun out\b": "expire",
    r"\btaken? apart\b": "parsed",
    r"\bin the clear\b": "unencrypted",
    r"\blets? go\b": "disconnect",
    r"\bsaid back\b": "returned",
    r"\bby (its|the \w+'s|this machine's) clock\b|\bfor the clock\b": "clock skew",
    r"\b(is|are) no more\b": "exited",
    r"\bg[ia]ve (it|them) (back|a place)\b": "change the owner, create a directory",
    r"\bpath to it is dead\b": "connection lost",
    r"\bwith it in it\b": "that contains it",
    r"\bdo first\b": "fix",
    r"\bthrow-away\b|\bembedded brain\b": "dev brain",
    r"(?<!there )\b(is|are) no (?!longer\b|more than\b|one\b)": "is not a valid",
    r"\b(is|are) none\b": "is not one of",
    r"\bhas to be\b|\bhave to be\b": "must be",
    r"\bnot well\b|\btrouble\b": "failing",
    r"\bon the way\b": "in between",
    r"\b(what|who) answers\b": "the server",
    r"\bmint(s|ed|ing)?\b": "create",
    r"\bno end within\b": "timed out after",
    r"\bsigned by itself\b": "self-signed",
    r"\b(colour|behaviour|favour|honour|neighbour)\w*": "American spelling",
    r"\b(synchronis|recognis|organis|initialis|authoris)\w+": "American spelling",
    r"\b(labelled|travell\w+|signalled|licence|whilst)\b": "American spelling",
    r"\b(cancell(ed|ing)|acknowledgement\w*)\b": "American spelling",
    r"\bwhite space\b": "whitespace",
    r"\bgreen\b(?! report)|\bred\b": "passed, failed",
}
# Of the code; the glossary explains them. Users read others.
BANNED_FOR_USERS = {
    r"\b(climb|rung|ladder)(s|ed|ing)?\b": "check, connection attempt",
    r"\bhello\b": "handshake",
    r"\bslots?\b": "buffer file",
    r"\badopt(s|ed|ing)?\b": "recover",
}

# Of these, in what the code says to those who read it: comments and docstrings.
BANNED_IN_CODE = re.compile(
    r"\b(nobody|somebody|anybody|everybody|whoever|mend(s|ed|ing)?|misspelt|diall?(s|ed|ing)?|dialed"
    r"|in the clear|taken apart|throw-away|embedded brain|(colour|behaviour|favour|honour|neighbour)\w*)\b",
    re.IGNORECASE,
)


def remarks_in(source: str) -> Iterator[tuple[int, str]]:
    """Each line of a comment or a docstring, with its number; without code spans and quotes."""
    said = [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    said += [
        (node.lineno, node.value.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    for line, text in said:
        for further, part in enumerate(text.splitlines()):
            yield line + further, re.sub(r"`[^`]*`|\"[^\"]*\"", "", part)


def texts_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Each text with its line: no docstring, no name, and a value that is filled in as a gap."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            inside.add(id(node.body[0].value))  # type: ignore[attr-defined]
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            inside.add(id(node.value))  # of an attribute
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if id(node) in inside:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value


def paragraphs_in(page: str) -> Iterator[str]:
    """The paragraphs, list items, and rows of a Markdown page, without code blocks, tags, and targets."""
    prose = re.sub(r"^([ \t]*)```.*?^\1```", "", page, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"<[^>]+>|\]\([^)]*\)|\{ #[^}]*\}|^::: .*$", "", prose, flags=re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n|\n(?=\s*[-|*#])", prose):
        yield " ".join(paragraph.split())


def objections_to(text: str, *, to_users: bool = True) -> list[str]:
    """What the vocabulary rules out, each with what is said instead; code spans and quotes are left out."""
    said = re.sub(r"`[^`]*`|'[^' ]*'", "", text)
    banned = BANNED | BANNED_FOR_USERS if to_users else BANNED
    return [
        f"{found[0]!r}: say {instead!r}"
        for pattern, instead in banned.items()
        if (found := re.search(pattern, said, re.IGNORECASE))
    ]
