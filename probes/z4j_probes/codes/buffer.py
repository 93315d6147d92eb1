"""The codes of the `buffer` probe."""

from z4j_probes.codes._code import Code
from z4j_probes.result import Status, Step

CODES = (
    Code(
        "buffer.ok",
        "the event buffer can be written",
        status=Status.PASS,
        causes=("a database was written there, read back and removed",),
    ),
    Code(
        "buffer.relocated",
        "the state directory can't be used, and the buffer has moved to a temporary one",
        status=Status.WARN,
        causes=(
            "a service user whose home is missing, or is not its own (/nonexistent, /var/www)",
            "a container whose root file system is read-only",
            "the directory was made by root, in an earlier run with sudo",
        ),
        remedy="Make the directory writable for the service's user, or name another one in Z4J_HOME: "
        "a temporary directory may be empty after a restart",
    ),
    Code(
        "buffer.wrong_user",
        "the state directory belongs to another user than the one that asks",
        status=Status.WARN,
        causes=(
            "the doctor was run as root, while the service runs as a user of its own",
            "root was asked for a directory that is not there yet, inside of one of the service's user",
            "the service itself runs as root by mistake",
        ),
        remedy=Step(
            "Run the doctor as the service's user, or with --pid or --unit",
            "sudo -u USER python -m z4j_fastapi doctor",
        ),
    ),
    Code(
        "buffer.unwritable",
        "neither the state directory nor a temporary one can be written",
        causes=(
            "the directory belongs to another user",
            "a sandbox (ProtectSystem=, SELinux, AppArmor) forbids it",
            "a read-only container without a writable /tmp",
        ),
        remedy="Name a directory in Z4J_HOME that the service's user can write: until then a restart loses "
        "the events, which are kept only in memory",
    ),
    Code(
        "buffer.not_a_directory",
        "the state directory's path leads to, or through, a file",
        causes=("Z4J_HOME names a file", "a mount put a file where a directory was meant"),
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
        "the state directory's file system has no room left",
        causes=("the disk is full", "it is out of inodes", "the user's quota is used up"),
        remedy=Step(
            "Free space, inodes, or quota: buffered events stay where they are", "df -h; df -i; quota"
        ),
    ),
    Code(
        "buffer.unsafe_directory",
        "the state directory could be tampered with by another user",
        causes=(
            "it belongs to another user, or every user may write it",
            "the service ran as another user before, on the same volume (runAsUser was changed)",
            "a name in the temporary directory was taken by somebody else, or is a symbolic link",
        ),
        remedy=Step(
            "Make the service's user the only owner of the directory",
            "sudo chown -R USER DIR && sudo chmod 0700 DIR",
        ),
    ),
    Code(
        "buffer.corrupt",
        "a database in the state directory is damaged",
        causes=(
            "a disk that fails, or lost power",
            "a file system that does not keep what it acknowledged",
            "a copy that was made while the database was in use",
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
        remedy="Put Z4J_HOME on a local disk, or end the program that holds the file",
    ),
    Code(
        "buffer.low_space",
        "the state directory's file system is nearly full",
        status=Status.WARN,
        causes=("logs or images have filled it", "a small tmpfs or volume", "it is nearly out of inodes"),
        remedy="Free space, before the brain is unavailable for long and events have to be dropped",
    ),
    Code(
        "buffer.timeout",
        "the state directory did not answer in time",
        causes=("a network mount whose server is away", "a disk that is failing or overloaded"),
        remedy=Step("Fix the mount, or put Z4J_HOME on a local disk. See what is mounted", "findmnt -T DIR"),
    ),
)
