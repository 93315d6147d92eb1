"""What `--help` says of each command at length: what it does, its exit status, and examples to paste."""

from __future__ import annotations

ROOT = """\
A z4j agent for FastAPI, arq and taskiq, and a doctor that says why it is not online.

\b
Examples:
  z4j-fastapi doctor                        why is it not online?
  z4j-fastapi explain tls.expired           what does that code mean?
  z4j-fastapi dev-brain --env-file .env.dev
"""

DOCTOR = """\
Say why the agent does not come online: which rung fails, and what to do.

Climbs from the settings to a signed frame that the brain accepted, exactly as the agent does, and lets go.
Settings are those of the agent: Z4J_* variables, and above them the options below.

\b
Exit status:
  0    nothing failed (with --strict: and nothing warned)
  1    something failed; missing or malformed settings too
  2    the command line was wrong
  70   the program itself failed, or its report could not be written
  130  interrupted by Ctrl-C; the report says what was known by then
  143  the same by SIGTERM
With --format nagios as monitoring plug-ins have it:
  0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN

\b
Examples:
  z4j-fastapi doctor
  z4j-fastapi doctor --env-file /etc/my-service.env --verbose
  z4j-fastapi doctor --json | jq -r .first_failure
  z4j-fastapi doctor --only tls --brain-url https://brain.example
  z4j-fastapi doctor --wait 60 && exec my-service
  z4j-fastapi doctor --format openmetrics -o /run/metrics/z4j.prom
  z4j-fastapi doctor --bundle z4j-doctor.zip
  sudo "$(command -v z4j-fastapi)" doctor --unit my-service
  sudo -u www-data "$(command -v z4j-fastapi)" doctor
"""

EXPLAIN = """\
What a code means, what usually causes it, and how to mend it.

With the name of a probe, the codes that it can give; with nothing, all codes.

\b
Examples:
  z4j-fastapi explain tls.expired
  z4j-fastapi explain dns
  z4j-fastapi explain tls.expired --json
"""

PROBES = """\
The registered probes in the order of the ladder, with what each needs.

\b
Examples:
  z4j-fastapi probes
  z4j-fastapi probes --json
"""

DEV_BRAIN = """\
A brain to develop against: on loopback, in memory, gone with Ctrl-C.

Prints the settings of a fresh agent, secrets included, to paste into another terminal.

\b
Examples:
  z4j-fastapi dev-brain
  z4j-fastapi dev-brain --port 7700 --env-file .env.dev
"""
