"""Does systemd run this service, and could it? (A row that `doctor --unit` adds.)"""

from z4j_probes.codes._code import Code
from z4j_probes.result import Status, Step

CODES = (
    Code(
        "unit.ok",
        "systemd runs the service",
        status=Status.PASS,
    ),
    Code(
        "unit.not_running",
        "the service is not running",
        status=Status.WARN,
        causes=(
            "it was stopped, or has not been started since the machine booted",
            "its program exited: the journal says why",
            "systemd waits before it restarts it (RestartSec=)",
        ),
        steps=(
            Step("See what it logged", "sudo journalctl -u NAME -n 50"),
            Step("Start it", "sudo systemctl start NAME"),
        ),
    ),
    Code(
        "unit.cannot_start",
        "systemd can't start the service",
        causes=(
            "its program is missing or not executable (203/EXEC)",
            "its user does not exist (217/USER), or can't enter its working directory (200/CHDIR)",
            "a file that it needs is missing: an EnvironmentFile= or a credential (243/CREDENTIALS)",
            "a path of its sandbox is missing (226/NAMESPACE)",
            "a condition is not met, or a setting is not valid",
        ),
        steps=(
            Step("Correct it", "sudo systemctl edit NAME"),
            Step("Start it", "sudo systemctl restart NAME"),
        ),
    ),
    Code(
        "unit.outdated",
        "the service runs with settings from before a change",
        status=Status.WARN,
        causes=(
            "a file was changed, but the service was not restarted",
            "a unit file was changed, but systemd has not read it yet",
        ),
        steps=(Step("Restart it", "sudo systemctl daemon-reload && sudo systemctl restart NAME"),),
    ),
    Code(
        "unit.older_secret",
        "the process still uses an older version of a file",
        status=Status.WARN,
        causes=(
            "the token, the secret, or the CA was replaced in its file while the agent was online",
            "the version of the agent reads such files only once, at its start",
        ),
        steps=(
            Step("Wait until the agent connects the next time: it reads them again then"),
            Step("Restart it, if the old ones are no longer valid", "sudo systemctl restart NAME"),
        ),
    ),
    Code(
        "unit.not_taken_over",
        "the service has restrictions that the doctor can't reproduce",
        status=Status.WARN,
        causes=(
            "SystemCallFilter= refuses what a connection needs",
            "IPAddressDeny= of a control group that can't be joined, as in some containers",
        ),
        steps=(Step("Run the doctor in the service once: ExecStartPre=python -m z4j_fastapi doctor"),),
    ),
)
