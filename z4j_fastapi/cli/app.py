"""The typer app: the commands and their options. What they do is imported when they run.

Arguments are hidden, and a command's text tells of them: typer's list would show their Python types.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from z4j_fastapi.cli import Verdict, completion, manual
from z4j_fastapi.reports import FORMATS

_FORMATS_HELP = f"One of: {', '.join(FORMATS)}."

# Plain help and no traceback in boxes: rich by itself would cost more time than a whole climb.
app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    help=manual.ROOT,
    epilog=manual.LINKS,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else, to stdout.")]
EnvFile = Annotated[
    str | None, typer.Option("--env-file", metavar="FILE", help="Read Z4J_* from this env file too.")
]
Watch = Annotated[
    float | None,
    typer.Option(
        "--watch", metavar="SECONDS", help="Repeat at this interval until Ctrl-C (with --json: JSON Lines)."
    ),
]
ToFile = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write it to a file instead of stdout."),
]


def _asked(format_: str, as_json: bool) -> str:
    """The format of a command that takes --json too; a usage error where --format names another."""
    if not as_json:
        return format_
    if format_ not in ("table", "json"):
        from z4j_fastapi.cli.output import usage_error

        usage_error(f"--json and --format {format_} can't be used together")
    return "json"


def _version(wanted: bool) -> None:
    if wanted:
        from z4j_fastapi.cli.versions import versions

        for name, version in versions().items():
            typer.echo(f"{name} {version}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_version,
            is_eager=True,
            help="Print the versions, and exit.",
        ),
    ] = False,
) -> None:
    """The options that stand before a command."""


@app.command(
    # an argument too many may be a secret that lost its option: it is refused here, without being shown
    context_settings={"allow_extra_args": True},
    short_help="Find out why the agent can't connect, and how to fix it.",
    help=manual.DOCTOR,
    epilog=manual.LINKS,
)
def doctor(
    context: typer.Context,
    as_json: AsJson = False,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help=_FORMATS_HELP, autocompletion=completion.formats)
    ] = "table",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write the report to a file instead of stdout."),
    ] = None,
    append: Annotated[
        bool,
        typer.Option(
            "--append", help="Add to the file of --output (table, json as JSON Lines, markdown, github)."
        ),
    ] = False,
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="Also write a support bundle (zip) without secrets."),
    ] = None,
    no_websocket: Annotated[
        bool,
        typer.Option(
            "--no-websocket", help="Skip websocket, auth, and signing (the brain is down on purpose)."
        ),
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Run only what needs no network: config and buffer.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="PROBE",
            autocompletion=completion.probes,
            help="Run only this check, and what it needs. Repeatable.",
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option(
            "--skip",
            metavar="PROBE",
            autocompletion=completion.probes,
            help="Skip this check, and what needs it. Repeatable.",
        ),
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option("--wait", metavar="SECONDS", help="Retry until nothing fails, for at most this time."),
    ] = None,
    watch: Watch = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout", metavar="SECONDS", help="The time limit of each check (default 5, dns 12)."
        ),
    ] = None,
    deadline: Annotated[
        float | None,
        typer.Option("--deadline", metavar="SECONDS", help="The time limit of the whole run."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="KEY=VALUE",
            help="Label the report, for example service=shop. Repeatable.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as failures.")] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Show the evidence: settings, addresses, certificate, headers, times."
        ),
    ] = False,
    env_file: Annotated[
        str | None,
        typer.Option(
            "--env-file", metavar="FILE", help="Read Z4J_* from a dotenv file or a systemd EnvironmentFile."
        ),
    ] = None,
    pid: Annotated[
        int | None,
        typer.Option(
            "--pid", metavar="PID", min=1, help="Run as this running process would (needs root, Linux)."
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit", metavar="NAME", help="Run as this systemd service would, running or not (needs root)."
        ),
    ] = None,
    worker: Annotated[
        str | None,
        typer.Option(
            "--worker",
            metavar="MODULE:NAME",
            help="Also check an arq or taskiq worker: its agent, its Redis, and its queue.",
        ),
    ] = None,
    brain_url: Annotated[
        str | None, typer.Option("--brain-url", metavar="URL", help="Use this instead of Z4J_BRAIN_URL.")
    ] = None,
    project_id: Annotated[
        str | None, typer.Option("--project-id", metavar="SLUG", help="Use this instead of Z4J_PROJECT_ID.")
    ] = None,
    agent_name: Annotated[
        str | None, typer.Option("--agent-name", metavar="NAME", help="Use this instead of Z4J_AGENT_NAME.")
    ] = None,
    ca_file: Annotated[
        str | None, typer.Option("--ca-file", metavar="FILE", help="Use this instead of Z4J_CA_FILE.")
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option("--token-file", metavar="FILE", help="Read the token from a file instead of Z4J_TOKEN."),
    ] = None,
    hmac_secret_file: Annotated[
        str | None,
        typer.Option(
            "--hmac-secret-file",
            metavar="FILE",
            help="Read the secret from a file instead of Z4J_HMAC_SECRET.",
        ),
    ] = None,
) -> None:
    """Say why the agent does not come online."""
    from z4j_fastapi.cli.doctor import run
    from z4j_fastapi.cli.options import Options
    from z4j_fastapi.cli.output import usage_error

    if context.args:
        usage_error("doctor takes no arguments, only options (see doctor --help)")
    options = Options(
        format=_asked(format_, as_json),
        output=output,
        append=append,
        bundle=bundle,
        only=tuple(only or ()),
        skip=tuple(skip or ()),
        no_websocket=no_websocket,
        offline=offline,
        wait_s=wait,
        watch_s=watch,
        timeout_s=timeout,
        deadline_s=deadline,
        labels=tuple(label or ()),
        strict=strict,
        verbose=verbose,
        env_file=env_file,
        pid=pid,
        unit=unit,
        worker=worker,
        brain_url=brain_url,
        project_id=project_id,
        agent_name=agent_name,
        ca_file=ca_file,
        token_file=token_file,
        hmac_secret_file=hmac_secret_file,
    )
    raise Verdict(run(options))


@app.command(
    short_help="What a code means, and how to fix it.",
    help=manual.EXPLAIN,
    epilog=manual.LINKS,
)
def explain(
    code: Annotated[
        str | None,
        typer.Argument(metavar="CODE", hidden=True, autocompletion=completion.codes),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What a code means."""
    from z4j_fastapi.cli.explain import run

    raise typer.Exit(run(code, as_json=as_json))


@app.command(
    short_help="List the checks in order.",
    help=manual.PROBES,
    epilog=manual.LINKS,
)
def probes(as_json: AsJson = False) -> None:
    """List the probes."""
    from z4j_fastapi.cli.probes import run

    raise typer.Exit(run(as_json=as_json))


@app.command(
    "init", short_help="Write an env file, after checking its values.", help=manual.INIT, epilog=manual.LINKS
)
def init(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The env file to write.")
    ] = Path("z4j.env"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Write the file without running the doctor.")
    ] = False,
    project_id: Annotated[
        str | None, typer.Option("--project-id", metavar="SLUG", help="Also write Z4J_PROJECT_ID.")
    ] = None,
    agent_name: Annotated[
        str | None, typer.Option("--agent-name", metavar="NAME", help="Also write Z4J_AGENT_NAME.")
    ] = None,
) -> None:
    """Write an env file."""
    from z4j_fastapi.cli.init import run

    raise typer.Exit(
        run(output=output, force=force, check=not no_check, project_id=project_id, agent_name=agent_name)
    )


@app.command(
    "info", short_help="Show settings and versions, without secrets.", help=manual.INFO, epilog=manual.LINKS
)
def info(
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the settings."""
    from z4j_fastapi.cli.info import run

    raise typer.Exit(run(env_file=env_file, as_json=as_json))


@app.command(
    "status",
    short_help="Show the agents of this machine, and processes without one.",
    help=manual.STATUS,
    epilog=manual.LINKS,
)
def status(
    as_json: AsJson = False,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="One of: table, json, openmetrics.")
    ] = "table",
    output: ToFile = None,
    watch: Watch = None,
    env_file: EnvFile = None,
) -> None:
    """Show the agents of this machine."""
    from z4j_fastapi.cli.status import StatusOptions, run

    raise typer.Exit(run(StatusOptions(_asked(format_, as_json), output, watch, env_file)))


@app.command(
    "dev-brain",
    short_help="Run a dev brain on this machine.",
    help=manual.DEV_BRAIN,
    epilog=manual.LINKS,
)
def dev_brain(
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="PORT", min=0, max=65535, help="The port (0: the system chooses one)."
        ),
    ] = 0,
    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file", metavar="FILE", help="Also write the settings to a file that only you can read."
        ),
    ] = None,
    agent_name: Annotated[
        str, typer.Option("--agent-name", metavar="NAME", help="The name of the agent to create.")
    ] = "dev",
) -> None:
    """Serve a dev brain."""
    from z4j_fastapi.cli.dev_brain import run

    raise typer.Exit(run(port=port, env_file=env_file, agent_name=agent_name))


report = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=manual.REPORT,
    epilog=manual.LINKS,
    short_help="Combine the reports of many services and hosts.",
)
app.add_typer(report, name="report")


@report.command(
    "merge",
    short_help="One table, or one document, of many reports.",
    help=manual.REPORT_MERGE,
    epilog=manual.LINKS,
)
def report_merge(
    files: Annotated[list[str], typer.Argument(metavar="FILE", hidden=True)],
    as_json: AsJson = False,
    format_: Annotated[
        str,
        typer.Option("--format", metavar="FORMAT", help=_FORMATS_HELP, autocompletion=completion.formats),
    ] = "table",
    output: ToFile = None,
) -> None:
    """Merge reports."""
    from z4j_fastapi.cli.merge import run

    raise typer.Exit(run(files, format_=_asked(format_, as_json), output=output))


aside = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=manual.ASIDE,
    epilog=manual.LINKS,
    short_help="List, retry, or delete events that were set aside.",
)
app.add_typer(aside, name="aside")

Ids = Annotated[list[int] | None, typer.Argument(metavar="ID", hidden=True)]


@aside.command(
    "list", short_help="List them, without their data.", help=manual.ASIDE_LIST, epilog=manual.LINKS
)
def aside_list(env_file: EnvFile = None, as_json: AsJson = False) -> None:
    """List events that were set aside."""
    from z4j_fastapi.cli.aside import list_events

    raise typer.Exit(list_events(env_file=env_file, as_json=as_json))


@aside.command("retry", short_help="Buffer them again.", help=manual.ASIDE_RETRY, epilog=manual.LINKS)
def aside_retry(ids: Ids = None, env_file: EnvFile = None) -> None:
    """Buffer events again."""
    from z4j_fastapi.cli.aside import retry

    raise typer.Exit(retry(ids or (), env_file=env_file))


@aside.command("delete", short_help="Delete them for good.", help=manual.ASIDE_DELETE, epilog=manual.LINKS)
def aside_delete(
    ids: Ids = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete all of them.")] = False,
    env_file: EnvFile = None,
) -> None:
    """Delete events."""
    from z4j_fastapi.cli.aside import delete
    from z4j_fastapi.cli.output import usage_error

    if bool(ids) == everything:
        usage_error("name the ids of the events, or use --all")
    raise typer.Exit(delete(ids or (), env_file=env_file))
