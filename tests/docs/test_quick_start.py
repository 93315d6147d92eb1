"""The quick start as a newcomer follows it: the commands of the page, in three terminals, top to bottom."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.support.cli import environment
from tests.support.pages import DOCS, blocks
from tests.support.programs import free_port, program, unavailable
from tests.support.terminal import Terminal

PAGE = DOCS / "quickstart.md"


def variables_in(env_file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in env_file.read_text().splitlines())


@pytest.mark.component
def test_the_quick_start_works_from_top_to_bottom(tmp_path: Path) -> None:
    if not Path(sys.prefix, "bin", "activate").exists():
        unavailable("this Python is not one of a virtual environment, as the quick start makes it")
    program("curl")
    written = tmp_path / "quickstart.md"
    written.write_text(PAGE.read_text().replace("8000", str(free_port())))  # which other tests may use
    text = " ".join(written.read_text().split())
    install, brain, check, broken, serve, ask, brain_again, serve_again, init, as_user = blocks(written, "sh")

    curl, _ = ask.splitlines(keepends=True)

    # what the first block makes is there already: an environment with the package, its extra, and uvicorn
    assert install == "python3 -m venv .venv && . .venv/bin/activate\npip install '.[fastapi]' uvicorn\n"
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / ".venv").symlink_to(sys.prefix)
    (clone / "docs").symlink_to(DOCS)
    environ = environment(tmp_path)
    with (
        Terminal(clone, environ) as first,
        Terminal(clone, environ) as second,
        Terminal(clone, environ) as third,
    ):
        first.run(". .venv/bin/activate\n")
        first.type(brain)
        printed = first.wait_for("Press Ctrl-C to stop it.")
        assert printed.count("export Z4J_") == 5
        assert "prints them as five `export` lines" in text

        shown = second.run(check)
        assert "7 passed, 1 not run" in shown
        assert "The summary says `7 passed, 1 not run`. The check `tls` is not run" in text
        shown = second.run(broken)
        assert "✗ auth " in shown
        assert "error[auth.token_rejected]" in shown
        assert "The check `auth` failed. The report names the code, `auth.token_rejected`" in text

        second.type(serve)
        second.wait_for("Application startup complete")
        third.run_until(curl, '{"z4j":"online"}')
        url = variables_in(clone / "dev.env")["Z4J_BRAIN_URL"]
        assert re.search(rf"web · .* · {url} .*\n  ✓ +\d+ +web +online ", third.run(ask))
        assert 'returns `{"z4j":"online"}`, and the second has a row for it, with the state `online`.' in text
        first.interrupt()
        third.run_until(curl, '{"z4j":"offline"}')
        assert re.search(rf"web · .* · {url} .*\n  ✗ +\d+ +web +offline ", third.run(ask))

        first.type(brain_again)
        first.wait_for("Press Ctrl-C to stop it.")
        second.interrupt()
        second.type(serve_again)
        second.wait_for("Application startup complete")
        third.run_until(curl, '{"z4j":"online"}')

        # with the dev brain in the place of the reader's own
        settings = variables_in(clone / "dev.env")
        third.run(". .venv/bin/activate\n")
        third.type(init)
        for prompt, name in (("Brain URL", "URL"), ("Token: ", "TOKEN"), ("HMAC secret: ", "SECRET")):
            third.wait_for(prompt)
            third.type(next(value for key, value in settings.items() if key.endswith(name)) + "\n")
        third.wait_for("Wrote z4j.env, which only you can read.")
        assert settings["Z4J_TOKEN"] not in third.shown
    assert (clone / "z4j.env").stat().st_mode & 0o777 == 0o600
    # a user and a file of the reader's machine: the option is held by the test of all options
    assert as_user.startswith("sudo -u www-data ")
    assert os.sep in as_user
