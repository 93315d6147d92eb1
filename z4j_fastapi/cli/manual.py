"""What `--help` says of each command at length: what it does, its exit status, and examples to paste."""

from __future__ import annotations

from z4j_probes.portable.system import by_system

_ENV_FILE = by_system("/etc/my-service.env", "/etc/my-service.env", "C:\\my-service\\z4j.env")
_THEN_START = by_system(" && exec my-service", " && exec my-service", "")
_AS_ROOT = by_system('  sudo "$(command -v python)"', '  sudo "$(command -v python)"', "")
_FOR_A_SERVICE = by_system(
    f"""\
{_AS_ROOT} -m z4j_fastapi doctor --unit my-service
  sudo -u www-data "$(command -v python)" -m z4j_fastapi doctor
""",
    """\
  sudo -u www-data "$(command -v python)" -m z4j_fastapi doctor
""",
    "",
)
_PRINTED = """\
  printf '%s\\n' "$URL" "$TOKEN" "$SECRET" | python -m z4j_fastapi init
"""
_IN_A_PIPE = by_system(_PRINTED, _PRINTED, "")
_CAT = """\
  cat reports/*.jsonl | python -m z4j_fastapi report merge -
"""
_MERGED_IN_A_PIPE = by_system(_CAT, _CAT, "")
_OF_ALL_USERS = by_system(
    f"""\
{_AS_ROOT} -m z4j_fastapi status
{_AS_ROOT} -m z4j_fastapi status --format openmetrics
""",
    f"""\
{_AS_ROOT} -m z4j_fastapi status
""",
    "",
)

LINKS = "Links: docs/quickstart.md, docs/doctor.md, docs/troubleshooting.md"

ROOT = """\
A z4j agent for FastAPI, arq, and taskiq, and a doctor that finds out why it
can't connect.

z4j shows and controls background tasks on a dashboard. Its server is the brain.

\b
Examples:
  python -m z4j_fastapi init                       write z4j.env
  python -m z4j_fastapi doctor --env-file z4j.env  why can't it connect?
  python -m z4j_fastapi explain tls.expired        what does this code mean?
  python -m z4j_fastapi status                     which agents run here?
  python -m z4j_fastapi dev-brain                  a brain to develop against
"""

DOCTOR = f"""\
Find out why the agent can't connect, and how to fix it.

Connects as the agent does, from the settings to a signed frame that the brain accepts, and disconnects.
The settings are the agent's: Z4J_* variables, unless an option below replaces them.

\b
Exit status:
  0    nothing failed (with --strict: no warning either)
  1    a check failed (missing or invalid settings too), or --deadline passed
  2    invalid command line
  70   internal error, or the report could not be written
  130  interrupted by Ctrl-C; the report has what was known by then
  143  ended by SIGTERM; the report has the same
With --format nagios, as monitoring plug-ins have it:
  0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN

\b
Examples:
  python -m z4j_fastapi doctor
  python -m z4j_fastapi doctor --env-file {_ENV_FILE} --verbose
  python -m z4j_fastapi doctor --json | jq -r .first_failure
  python -m z4j_fastapi doctor --only tls --brain-url https://brain.example
  python -m z4j_fastapi doctor --worker my_app.worker:WorkerSettings
  python -m z4j_fastapi doctor --wait 60{_THEN_START}
  python -m z4j_fastapi doctor --format openmetrics
  python -m z4j_fastapi doctor --format github --deadline 20
  python -m z4j_fastapi doctor --bundle z4j-doctor.zip
{_FOR_A_SERVICE}"""

EXPLAIN = """\
Explain a code: what it means, its causes, and how to fix it.

With the name of a check, list its codes. Without a name, list all codes.

\b
Examples:
  python -m z4j_fastapi explain tls.expired
  python -m z4j_fastapi explain dns
  python -m z4j_fastapi explain tls.expired --json
"""

PROBES = """\
List the checks in order, with what each needs.

\b
Examples:
  python -m z4j_fastapi probes
  python -m z4j_fastapi probes --json
"""

INIT = f"""\
Ask for the brain's URL, the token, and the secret, check them, and write an env file.

The token and the secret are read without echo. In a pipe, stdin has the three of them, one on each line.
They are checked by the doctor before the file is written. Only you can read the file.
Other Z4J_* variables of this shell, such as Z4J_CA_FILE, are written too, since the check used them.

\b
Exit status:
  0    the file was written, and the agent can connect
  1    a check failed; nothing was written (see --no-check)
  2    invalid command line, or the file exists (see --force)
  70   the file could not be written
  130  interrupted by Ctrl-C; nothing was written
  143  ended by SIGTERM; nothing was written

\b
Examples:
  python -m z4j_fastapi init
  python -m z4j_fastapi init --output {_ENV_FILE}
{_IN_A_PIPE}"""

INFO = f"""\
Show the settings with their sources, the versions, and the state directory.

Uses no network. The output contains no secret and is safe to paste into a bug report.

\b
Examples:
  python -m z4j_fastapi info
  python -m z4j_fastapi info --env-file {_ENV_FILE}
  python -m z4j_fastapi info --json
"""

STATUS = f"""\
Show each agent process of this machine: its state and since when, its buffer, and its brain.

Uses no network: it reads what each agent writes beside its buffer file, so numbers may be 10 seconds old.
Processes with Z4J_ settings that run arq, taskiq, uvicorn, gunicorn, hypercorn, or granian and have no agent
are named, with the line to add. As root: the agents of all users.

\b
Exit status:
  0    agents were found, all of them connect, and no process lacks one
  1    an agent is offline or disabled, a process lacks one, or no agent runs
  2    invalid command line
  70   internal error, or the status could not be written
  130  interrupted by Ctrl-C
  143  ended by SIGTERM

\b
Examples:
  python -m z4j_fastapi status
  python -m z4j_fastapi status --watch 2
  python -m z4j_fastapi status --json | jq -r '.agents[].code'
{_OF_ALL_USERS}"""

DEV_BRAIN = """\
Run a brain to develop against, on this machine only and in memory, until Ctrl-C.

Prints the settings of a new agent, secrets included, to paste into another terminal.

\b
Examples:
  python -m z4j_fastapi dev-brain
  python -m z4j_fastapi dev-brain --port 7700 --env-file .env.dev
"""

REPORT = """\
Combine the reports of many services and hosts.

\b
Examples:
  python -m z4j_fastapi report merge reports/*.json
"""

REPORT_MERGE = f"""\
Make one table, or one document, of many reports: by code, failures first, then by host.

The files are what `doctor --json` writes, also of older versions: a report each, or JSON Lines. - is stdin.
The output of this command with --json can be merged again.

\b
Exit status:
  0    no report failed
  1    a report failed, or a file could not be read as one
  2    invalid command line, or a file does not exist
  70   internal error, or the result could not be written
  130  interrupted by Ctrl-C
  143  ended by SIGTERM

\b
Examples:
  python -m z4j_fastapi report merge reports/*.json
  python -m z4j_fastapi report merge --json -o fleet.json reports/*.json
{_MERGED_IN_A_PIPE}"""

ASIDE = """\
List, retry, or delete the events that the brain, or a gateway in front of it, rejected.

An event behind which the session was closed three times is set aside, so that it holds up no other. Its
code in the log is session.event_set_aside.

\b
Examples:
  python -m z4j_fastapi aside list
  python -m z4j_fastapi aside retry 3 4
  python -m z4j_fastapi aside delete --all
"""

ASIDE_LIST = """\
List the events, oldest first: id, time, kind, engine, task, and size. Their data is not shown.

\b
Examples:
  python -m z4j_fastapi aside list
  python -m z4j_fastapi aside list --env-file my-service.env --json
"""

ASIDE_RETRY = """\
Buffer the events with these ids again, or without ids all of them. A running agent of this service sends
them within a minute. `aside list` shows the ids.

\b
Examples:
  python -m z4j_fastapi aside retry
  python -m z4j_fastapi aside retry 3 4
"""

ASIDE_DELETE = """\
Delete the events with these ids for good, or with --all all of them. `aside list` shows the ids.

\b
Examples:
  python -m z4j_fastapi aside delete 3 4
  python -m z4j_fastapi aside delete --all
"""
