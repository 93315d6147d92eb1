"""The codes of the `buffer` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.portable import shell
from z4j_probes.portable.system import by_system
from z4j_probes.result import Status, Step

CODES = (
    Code(
        "buffer.ok",
        "the state directory is writable",
        status=Status.PASS,
    ),
    Code(
        "buffer.relocated",
        "the buffer is in a temporary directory",
        status=Status.WARN,
        causes=(
            "a service user whose home is missing, or is not its own"
            + by_system(" (/nonexistent, /var/www)", " (/var/empty)", ""),
            "a container whose root file system is read-only",
            by_system(
                "the directory was created by root, in an earlier run with sudo",
                "the directory was created by root, in an earlier run with sudo",
                "the directory was created by an administrator, in an earlier run",
            ),
        ),
        remedy="Create a directory that the service's user can write, and set Z4J_HOME to it: "
        "a temporary directory may be empty after a reboot",
    ),
    Code(
        "buffer.wrong_user",
        "the state directory belongs to another user",
        status=Status.WARN,
        causes=(
            "the doctor was run as root, and the service runs as another user",
            "the directory does not exist yet, and root would create it for itself",
            "the service itself runs as root by mistake",
        ),
        remedy=Step(
            "Run the doctor as the service's user, or with --pid or --unit",
            shell.as_user("USER", "python -m z4j_fastapi doctor"),
        ),
    ),
    Code(
        "buffer.unwritable",
        "permission denied: the state directory is not writable",
        causes=(
            "the directory belongs to another user",
            "a sandbox (ProtectSystem=, SELinux, AppArmor) forbids it",
            "a read-only container without a writable /tmp",
        ),
        remedy="Set Z4J_HOME to a directory that the service's user can write: until then events are "
        "kept only in memory, and a restart loses them",
    ),
    Code(
        "buffer.not_a_directory",
        "the state directory is not a directory",
        causes=("Z4J_HOME names a file", "a mount created a file instead of a directory"),
        remedy="Set Z4J_HOME to a directory",
    ),
    Code(
        "buffer.read_only",
        "the state directory is on a read-only file system",
        causes=(
            "a container with readOnlyRootFilesystem and no volume",
            "a mount with the option ro",
            "a disk that the kernel remounted read-only after an error",
        ),
        remedy="Mount a writable volume there, or set Z4J_HOME to a directory on one",
    ),
    Code(
        "buffer.disk_full",
        "no space left for the state directory",
        causes=("the disk is full", "it is out of inodes", "the user's quota is used up"),
        remedy=Step("Free space, inodes, or quota. See what is used up", shell.all_room()),
    ),
    Code(
        "buffer.unsafe_directory",
        "another user could change the state directory",
        causes=(
            "it belongs to another user, or every user can write to it",
            "the service ran as another user before, on the same volume (runAsUser was changed)",
            "its name in the temporary directory is taken by another user, or is a symbolic link",
        ),
        remedy=Step(
            "Make the service's user the only owner of the directory",
            shell.close_directory(),
        ),
    ),
    Code(
        "buffer.corrupt",
        "a database in the state directory is corrupt",
        causes=(
            "a failing disk, or a power cut",
            "a file system that lost writes that it had acknowledged",
            "a copy made while the database was in use",
        ),
        remedy="Check the disk: the agent starts a new buffer file, and deletes nothing of the damaged one",
    ),
    Code(
        "buffer.locked",
        "a database in the state directory can't be locked",
        causes=(
            "a network file system whose locks do not work",
            "a backup or another program holds the file",
        ),
        remedy="Put Z4J_HOME on a local disk, or stop the program that holds the file",
    ),
    Code(
        "buffer.low_space",
        "the disk of the state directory is nearly full",
        status=Status.WARN,
        causes=("logs or images have filled it", "a small tmpfs or volume", "it is nearly out of inodes"),
        remedy="Free space: with a full disk, events are dropped while the brain is unavailable",
    ),
    Code(
        "buffer.timeout",
        "timed out while writing to the state directory",
        causes=("a network mount whose server is unavailable", "a failing or overloaded disk"),
        remedy=Step(
            "Fix the mount, or put Z4J_HOME on a local disk. See what is mounted", shell.mount_of("DIR")
        ),
    ),
)
