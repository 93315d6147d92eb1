"""State directories that can't be used: owners, modes, mounts, disks."""

from __future__ import annotations

import os

from tests.faults.scenario import Case, scenario
from tests.faults.scenarios.config import USER
from tests.faults.stage import Stage
from tests.support.programs import program, unavailable
from z4j_probes.storage import identity


async def plain(stage: Stage, **more: str) -> dict[str, str]:
    """Settings of a brain that is in order: what fails is the buffer alone."""
    return stage.settings(await stage.brain(), **more)


def mounted(stage: Stage, options: str, *, fill: str = "") -> tuple[str, tuple[str, ...]]:
    """A tmpfs with these options in a mount table of the doctor's own: its path, and what runs the doctor."""
    if os.geteuid() != 0:
        unavailable("mounting needs root")
    point = stage.directory / "volume"
    point.mkdir()
    script = (
        f"mount -t tmpfs -o size=1m none {point}; {fill} {options and f'mount -o remount,{options} {point};'}"
    )
    prefix = (
        program("unshare"),
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-ec",
        f'{script} exec "$@"',
        "sh",
    )
    return str(point), prefix


def temporary(stage: Stage) -> str:
    """A temporary directory as /tmp is, for everybody and sticky."""
    path = stage.directory / "tmp"
    path.mkdir()
    path.chmod(0o1777)
    return str(path)


def read_only(*paths: str, but: str = "") -> tuple[str, ...]:
    """What runs the doctor where these are read-only mounts, and the one directory in them is not."""
    if os.geteuid() != 0:
        unavailable("mounting needs root")
    binds = f"mount --bind {but} {but}\n" if but else ""
    for path in paths:
        binds += f"mount --bind {path} {path}\nmount -o remount,bind,ro {path}\n"
    if but:  # the binding of a parent hides what was mounted in it before
        binds += f"mount --bind {but} {but}\nmount -o remount,bind,rw {but}\n"
    return (program("unshare"), "--mount", "--propagation", "private", "sh", "-ec", f'{binds}exec "$@"', "sh")


@scenario(
    "buffer.relocated",
    "a state directory that root created (EACCES)",
    "Permission denied",
    f"z4j-{USER}",
    hint=(f"chown -R {USER}", "chmod 0700"),
)
async def the_state_directory_was_made_by_root(stage: Stage) -> Case:
    """~/.z4j was made by `sudo … doctor`, mode 0700, and the service runs as uid 4242"""
    (stage.home / ".z4j").mkdir(mode=0o700)
    os.chown(stage.home, USER, USER)
    return Case(
        await plain(stage, TMPDIR=temporary(stage)), words=(f"{stage.home}/.z4j",), handicap=(f"user={USER}",)
    )


@scenario(
    "buffer.relocated",
    "the home of another user, closed to this one (EACCES)",
    "Permission denied",
    hint=(f"-o {USER} /var/lib/z4j", "Z4J_HOME=/var/lib/z4j"),
)
async def the_home_is_roots(stage: Stage) -> Case:
    """`docker exec -u 4242`, or supervisord's user=: HOME is still /root, with mode 0700"""
    stage.home.chmod(0o700)
    return Case(await plain(stage, TMPDIR=temporary(stage)), handicap=(f"user={USER}",))


@scenario(
    "buffer.relocated",
    "the state directory of another user, in that user's home",
    "Permission denied",
    hint=(f"-o {USER} /var/lib/z4j", "Z4J_HOME=/var/lib/z4j"),
)
async def the_state_directory_is_another_users(stage: Stage) -> Case:
    """HOME is another user's and open; the .z4j in it may be in use, so its owner must stay"""
    (stage.home / ".z4j").mkdir(mode=0o700)
    return Case(await plain(stage, TMPDIR=temporary(stage)), handicap=(f"user={USER}",))


@scenario(
    "buffer.relocated",
    "a service user without a home (ENOENT)",
    "/nonexistent",
    hint=(f"-o {USER} /var/lib/z4j", "Z4J_HOME=/var/lib/z4j"),
)
async def the_service_user_has_no_home(stage: Stage) -> Case:
    """HOME=/nonexistent, as adduser --system gives"""
    return Case(await plain(stage, HOME="/nonexistent", TMPDIR=temporary(stage)), handicap=(f"user={USER}",))


@scenario("buffer.relocated", "a container's uid without a passwd entry", f"uid {USER} has no home directory")
async def the_uid_is_not_in_passwd(stage: Stage) -> Case:
    """docker run --user 4242, without HOME"""
    return Case(await plain(stage, HOME="", TMPDIR=temporary(stage)), handicap=(f"user={USER}",))


@scenario("buffer.relocated", "a read-only root file system (EROFS)", "EROFS", hint=("writable volume",))
async def the_root_file_system_is_read_only(stage: Stage) -> Case:
    """readOnlyRootFilesystem with a tmpfs on /tmp: Z4J_HOME is on a read-only mount"""
    point, prefix = mounted(stage, "ro")
    return Case(
        await plain(stage, Z4J_HOME=f"{point}/z4j", TMPDIR=temporary(stage)), words=(point,), prefix=prefix
    )


@scenario(
    "buffer.relocated",
    "the name in /tmp is taken by another user",
    "belongs to uid 0",
    "may be lost on reboot",
)
async def the_place_in_tmp_is_taken(stage: Stage) -> Case:
    """$TMPDIR/z4j-4242 belongs to root: the buffer goes to a fresh private directory beside it"""
    place = temporary(stage)
    os.mkdir(f"{place}/z4j-{USER}")
    environ = await plain(stage, HOME="/nonexistent", TMPDIR=place)
    return Case(environ, words=(f"{place}/z4j-{USER}-",), handicap=(f"user={USER}",))


@scenario(
    "buffer.not_a_directory",
    "a symbolic link that leads to itself (ELOOP)",
    hint=("state is a dangling symbolic link",),
)
async def the_state_directory_is_a_link_to_itself(stage: Stage) -> Case:
    """Z4J_HOME is below a symbolic link that leads to itself"""
    path = f"{stage.directory}/state"
    os.symlink(path, path)
    return Case(await plain(stage, Z4J_HOME=f"{path}/z4j", TMPDIR=temporary(stage)), words=(path,))


@scenario(
    "buffer.relocated", "a name that is too long (ENAMETOOLONG)", "File name too long", hint=("Z4J_HOME",)
)
async def the_state_directorys_name_is_too_long(stage: Stage) -> Case:
    """Z4J_HOME has a name of 300 characters, of a template that was filled in twice"""
    path = f"{stage.directory}/{'z4j' * 100}"
    return Case(await plain(stage, Z4J_HOME=path, TMPDIR=temporary(stage)), words=(path,))


@scenario(
    "buffer.unwritable",
    "no directory that the user may write, not even a temporary one (EACCES)",
    "EACCES",
    f"uid {USER}",
    hint=("install -d", str(USER)),
)
async def nothing_can_be_written(stage: Stage) -> Case:
    """a hardened unit: /var/lib and every temporary directory closed to the service's user"""
    environ = await plain(stage, Z4J_HOME="/var/lib/z4j")
    handicap = ("closed=/var/tmp", "closed=/tmp", f"user={USER}")
    return Case(environ, words=("/var/lib/z4j", "/tmp", "/var/tmp"), handicap=handicap)


@scenario(
    "buffer.not_a_directory", "Z4J_HOME is a file (ENOTDIR)", "EEXIST", hint=("set Z4J_HOME to a directory",)
)
async def the_state_directory_is_a_file(stage: Stage) -> Case:
    """Z4J_HOME names a file"""
    path = stage.write("state", "")
    return Case(await plain(stage, Z4J_HOME=path), words=(path,))


@scenario("buffer.not_a_directory", "Z4J_HOME is below a file (ENOTDIR)", "EEXIST", hint=("state is a file",))
async def the_state_directory_is_below_a_file(stage: Stage) -> Case:
    """Z4J_HOME=/etc/hostname/z4j"""
    path = stage.write("state", "") + "/z4j"
    return Case(await plain(stage, Z4J_HOME=path), words=(path,))


@scenario(
    "buffer.read_only",
    "every file system is read-only (EROFS)",
    "EROFS",
    "Read-only file system",
    hint=("mount a writable volume",),
)
async def every_disk_is_read_only(stage: Stage) -> Case:
    """a container with a read-only root and no tmpfs: Z4J_HOME, /tmp and /var/tmp on read-only mounts"""
    path = stage.directory / "root"
    path.mkdir()
    prefix = read_only(str(path), "/tmp", "/var/tmp")
    return Case(await plain(stage, Z4J_HOME=f"{path}/z4j"), words=(f"{path}/z4j",), prefix=prefix)


@scenario(
    "buffer.disk_full", "a full disk (ENOSPC)", "ENOSPC", "No space left on device", hint=("df -h", "df -i")
)
async def the_disk_is_full(stage: Stage) -> Case:
    """Z4J_HOME on a tmpfs that is filled to the last block: opening a file works, writing does not"""
    point, prefix = mounted(stage, "", fill="{ cat /dev/zero > $POINT/fill || true; } 2>/dev/null;")
    prefix = tuple(part.replace("$POINT", point) for part in prefix)
    return Case(await plain(stage, Z4J_HOME=point), words=(point,), prefix=prefix)


@scenario("buffer.disk_full", "a disk without free inodes (ENOSPC)", "ENOSPC", hint=("df -i",))
async def the_disk_is_out_of_inodes(stage: Stage) -> Case:
    """Z4J_HOME on a tmpfs that may hold no further file, with space left"""
    point, prefix = mounted(stage, "nr_inodes=1")
    return Case(await plain(stage, Z4J_HOME=f"{point}/z4j"), words=(point,), prefix=prefix)


@scenario(
    "buffer.unsafe_directory",
    "a directory that others may write, and no other place",
    "is writable by every user",
    hint=("chown",),
)
async def the_state_directory_is_open_to_all(stage: Stage) -> Case:
    """Z4J_HOME has mode 0777, and TMPDIR, /tmp and /var/tmp are read-only"""
    volume = stage.directory / "volume"
    path = volume / "z4j"
    path.mkdir(parents=True)
    path.chmod(0o777)
    prefix = read_only("/tmp", "/var/tmp", but=str(volume))
    return Case(await plain(stage, Z4J_HOME=str(path)), words=(str(path),), prefix=prefix)


@scenario(
    "buffer.unsafe_directory",
    "a volume on which the service ran as another user before",
    f"uid {USER}: ",
    "belongs to uid 1000",
    hint=(f"chown -R {USER}", "chmod 0700"),
)
async def the_service_ran_as_another_user_before(stage: Stage) -> Case:
    """runAsUser was 1000 and is 4242 now: the volume is open to both, the agent's directory is not"""
    environ = await plain(stage)
    volume = stage.directory / "volume"
    volume.mkdir()
    volume.chmod(0o2770)
    own = volume / identity(environ["Z4J_BRAIN_URL"], environ["Z4J_PROJECT_ID"], environ["Z4J_AGENT_NAME"])
    own.mkdir(mode=0o700)
    if os.geteuid() != 0:
        unavailable("giving a directory away needs root")
    os.chown(volume, 0, USER)
    os.chown(own, 1000, USER)
    return Case(environ | {"Z4J_HOME": str(volume)}, words=(str(own),), handicap=(f"user={USER}",))


@scenario(
    "buffer.corrupt",
    "a damaged buffer file",
    "buffer-0.sqlite",
    "is no longer a valid SQLite database",
    hint=("fsck",),
)
async def the_buffer_is_damaged(stage: Stage) -> Case:
    """the first blocks of the agent's buffer were overwritten with zeros, as after a power cut"""
    environ = await plain(stage)
    name = identity(environ["Z4J_BRAIN_URL"], environ["Z4J_PROJECT_ID"], environ["Z4J_AGENT_NAME"])
    directory = stage.home / ".z4j" / name
    directory.mkdir(parents=True, mode=0o700)
    (stage.home / ".z4j").chmod(0o700)
    path = directory / "buffer-0.sqlite"
    path.write_bytes(bytes(8192))
    return Case(environ, words=(str(path),))


@scenario("buffer.locked", "a file system whose locks do not work", "can't be", hint=("local disk",))
async def the_file_system_has_no_locks(stage: Stage) -> Case:
    """fcntl locks fail with ENOLCK, as on NFS without a lock daemon (a seccomp filter)"""
    return Case(await plain(stage), words=(f"{stage.home}/.z4j",), handicap=("locks=none",))


@scenario("buffer.low_space", "a volume that is nearly full", "has only", hint=("df -h",))
async def the_volume_is_nearly_full(stage: Stage) -> Case:
    """Z4J_HOME on a tmpfs of one megabyte"""
    point, prefix = mounted(stage, "")
    return Case(await plain(stage, Z4J_HOME=point), words=(point,), prefix=prefix)


@scenario(
    "buffer.timeout",
    "a network mount whose server is gone",
    "did not answer within",
    hint=("findmnt -T",),
    timeout_s=1.0,
)
async def the_mounts_server_is_away(stage: Stage) -> Case:
    """Z4J_HOME on a FUSE mount whose server never answers"""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        unavailable("/dev/fuse can't be opened")
    point = stage.directory / "dead"
    point.mkdir()
    return Case(
        await plain(stage, Z4J_HOME=str(point)), words=(str(point),), handicap=(f"dead_mount={point}",)
    )


@scenario("buffer.wrong_user", "root runs the doctor, the service runs as another user", hint=("sudo -u",))
async def root_looks_at_the_directory_of_a_service(stage: Stage) -> Case:
    """Z4J_HOME belongs to the service's user, and the doctor is run as root"""
    if os.geteuid() != 0:
        unavailable("being root needs root")
    home = stage.directory / "theirs"
    home.mkdir(mode=0o700)
    os.chown(home, USER, USER)
    return Case(await plain(stage, Z4J_HOME=str(home)), words=(str(home), "belongs to", str(USER)))


@scenario(
    "buffer.wrong_user",
    "root runs the doctor, and the service's directory does not exist yet",
    "was not created",
    f"not to #{USER}",
    hint=("sudo -u",),
)
async def root_would_make_the_directory_of_a_service(stage: Stage) -> Case:
    """Z4J_HOME is in a directory of the service's user, is not there yet, and the doctor is run as root"""
    if os.geteuid() != 0:
        unavailable("being root needs root")
    home = stage.directory / "theirs"
    home.mkdir(mode=0o700)
    os.chown(home, USER, USER)
    return Case(await plain(stage, Z4J_HOME=str(home / "z4j")), words=(str(home / "z4j"),))


@scenario(
    "buffer.unexpected",
    "a sandbox that forbids threads",
    "a sandbox forbids it",
    hint=("20.10.10", "seccomp=unconfined"),
)
async def a_sandbox_forbids_threads(stage: Stage) -> Case:
    """a seccomp filter lets clone3 fail with EPERM, as Docker before 20.10.10 does: no limit is near"""
    return Case(await plain(stage), handicap=("clone3=no",))
