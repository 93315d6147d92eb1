"""`dev-brain`: a dev brain at a terminal, and the settings that lead to it."""

from __future__ import annotations

import shlex
from pathlib import Path

from z4j_fastapi.cli import status_when_interrupted
from z4j_fastapi.cli.output import check_target, emit, note, usage_error, write_file
from z4j_fastapi.devbrain import Credentials, DevBrain, serve_forever
from z4j_fastapi.signals import run_interruptible
from z4j_probes.invocation import program
from z4j_probes.portable import shell

# Readable by its owner only: it holds the token.
_PRIVATE = 0o600


def run(*, port: int, env_file: Path | None, agent_name: str) -> int:
    """Serve until Ctrl-C; the exit status."""
    if env_file is not None:
        check_target(env_file, "--env-file")

    def announce(brain: DevBrain, credentials: Credentials) -> None:
        settings = brain.environment(credentials)
        if env_file is not None:
            lines = (f"{name}={shlex.quote(value)}\n" for name, value in settings.items())
            write_file(env_file, "".join(lines), mode=_PRIVATE)
            path = shell.quote(str(env_file))
            note(f"Wrote the settings to {env_file}. Try them: {program()} doctor --env-file {path}")
        note("The dev brain is running. Paste this into the terminal of your service:")
        emit("".join(f"{shell.set_variable(name, value)}\n" for name, value in settings.items()))
        note("Press Ctrl-C to stop it. Its data is lost.")

    try:
        run_interruptible(serve_forever(announce, port=port, agent_name=agent_name))
    except KeyboardInterrupt:
        return status_when_interrupted()
    except OSError as exc:
        usage_error(f"can't listen on port {port}: {exc.strerror or exc}")
    return 0
