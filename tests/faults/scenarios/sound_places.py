"""Where services run and get their settings from, when all is well: files, users, containers."""

from __future__ import annotations

import os
import secrets

from tests.faults.scenario import Case, healthy
from tests.faults.scenarios.buffer import read_only
from tests.faults.scenarios.config import USER
from tests.faults.stage import Stage
from tests.support.programs import program, unavailable
from z4j_probes.storage import identity


@healthy("an env file")
async def an_env_file(stage: Stage) -> Case:
    """all settings in a systemd EnvironmentFile with quotes, comments and blank lines, named by --env-file"""
    environ = stage.settings(await stage.brain())
    lines = (
        ["# written by hand", ""] + [f'{name}="{value}"' for name, value in environ.items()] + ["; the end"]
    )
    return Case(arguments=("--env-file", stage.write("z4j.env", "\n".join(lines))))


@healthy("secrets in files that end with a newline")
async def secrets_in_files_with_a_newline(stage: Stage) -> Case:
    """Z4J_TOKEN_FILE and Z4J_HMAC_SECRET_FILE, each with the newline that an editor leaves"""
    environ = stage.settings(await stage.brain())
    token, secret = environ.pop("Z4J_TOKEN"), environ.pop("Z4J_HMAC_SECRET")
    environ["Z4J_TOKEN_FILE"] = stage.write("token", f"{token}\n", 0o400)
    environ["Z4J_HMAC_SECRET_FILE"] = stage.write("secret", f"{secret}\r\n", 0o400)
    return Case(environ)


@healthy("settings as options")
async def settings_as_options(stage: Stage) -> Case:
    """--brain-url, --agent-name, --token-file and --hmac-secret-file, and an empty environment"""
    environ = stage.settings(await stage.brain())
    return Case(
        arguments=(
            *("--brain-url", environ["Z4J_BRAIN_URL"], "--agent-name", "web-{host}"),
            *("--token-file", stage.write("token", environ["Z4J_TOKEN"])),
            *("--hmac-secret-file", stage.write("secret", environ["Z4J_HMAC_SECRET"])),
        )
    )


@healthy("a service user without a home")
async def a_service_user_without_a_home(stage: Stage) -> Case:
    """uid 4242 without passwd entry or home, and a Z4J_HOME of its own"""
    if os.geteuid() != 0:
        unavailable("only root can become another user")
    state = stage.directory / "state"
    state.mkdir(mode=0o700)
    os.chown(state, USER, USER)
    environ = stage.settings(await stage.brain(), HOME="/nonexistent", Z4J_HOME=str(state))
    return Case(environ, handicap=(f"user={USER}",))


@healthy("a systemd StateDirectory")
async def a_systemd_state_directory(stage: Stage) -> Case:
    """DynamicUser with StateDirectory: a strange uid, a private /tmp, umask 0077, the rest read-only"""
    state = stage.directory / "state"
    state.mkdir(mode=0o700)
    if os.geteuid() != 0:
        unavailable("only root can become another user")
    os.chown(state, 61234, 61234)
    environ = stage.settings(
        await stage.brain(), HOME="/", Z4J_HOME=str(state / "z4j"), INVOCATION_ID=secrets.token_hex(16)
    )
    prefix = read_only("/var/tmp", str(stage.home), but="")
    return Case(environ, prefix=prefix, handicap=("umask=077", "user=61234"))


@healthy("a read-only root file system with a volume")
async def a_read_only_root_with_a_volume(stage: Stage) -> Case:
    """readOnlyRootFilesystem, and Z4J_HOME on a writable volume"""
    volume = stage.directory / "volume"
    volume.mkdir()
    environ = stage.settings(await stage.brain(), Z4J_HOME=f"{volume}/z4j")
    return Case(environ, prefix=read_only("/tmp", "/var/tmp", but=str(volume)))


@healthy("a Kubernetes emptyDir")
async def an_empty_dir_of_kubernetes(stage: Stage) -> Case:
    """Z4J_HOME is itself a mounted volume, with mode 0777, as Kubernetes makes emptyDir"""
    if os.geteuid() != 0:
        unavailable("mounting needs root")
    volume = stage.directory / "volume"
    volume.mkdir()
    script = f'mount -t tmpfs -o size=64m,mode=0777 none {volume}; exec "$@"'
    prefix = (program("unshare"), "--mount", "--propagation", "private", "sh", "-ec", script, "sh")
    environ = stage.settings(await stage.brain(), Z4J_HOME=str(volume))
    return Case(environ, prefix=prefix, handicap=(f"user={USER}",))


@healthy("a volume that fsGroup opened")
async def a_volume_that_fs_group_opened(stage: Stage) -> Case:
    """fsGroup in Kubernetes: the kubelet gives all directories of the volume, the agent's too, mode 2770"""
    if os.geteuid() != 0:
        unavailable("giving a directory away needs root")
    environ = stage.settings(await stage.brain())
    volume = stage.directory / "volume"
    own = volume / identity(environ["Z4J_BRAIN_URL"], environ["Z4J_PROJECT_ID"], environ["Z4J_AGENT_NAME"])
    own.mkdir(parents=True)
    for path, owner in ((volume, 0), (own, USER)):
        os.chown(path, owner, USER)
        path.chmod(0o2770)
    return Case(environ | {"Z4J_HOME": str(volume)}, handicap=(f"user={USER}",))


@healthy("a Z4J_HOME with a tilde")
async def a_home_with_a_tilde(stage: Stage) -> Case:
    """Z4J_HOME=~/state in an env file, where no shell expands it"""
    return Case(stage.settings(await stage.brain(), Z4J_HOME="~/state"))


@healthy("an ASCII locale")
async def a_locale_of_ascii(stage: Stage) -> Case:
    """LC_ALL=C, PYTHONUTF8=0 and a project directory with an umlaut"""
    home = stage.directory / "z\u00fcrich"
    home.mkdir()
    return Case(stage.settings(await stage.brain(), HOME=str(home), LC_ALL="C", PYTHONUTF8="0"))


@healthy("Python warnings are errors")
async def warnings_are_errors(stage: Stage) -> Case:
    """PYTHONWARNINGS=error, as some test environments have it"""
    return Case(stage.settings(await stage.brain(), PYTHONWARNINGS="error", PYTHONDEVMODE=""))
