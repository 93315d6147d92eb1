"""`doctor` from outside: exit status, what is on stdout, what a shell may do to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.support.agents import closed_port
from tests.support.cli import command, document, environment, install_plugin, on_terminal, run, unmounted
from tests.support.ladders import SECRET

pytestmark = pytest.mark.component

TOKEN = "z4j_agent_token_for_tests_0123456789abcdef"

HANGING = """
    import asyncio
    from z4j_probes import Code, Probe

    async def run(climb):
        await asyncio.Event().wait()

    PROBE = Probe("waiting", "Does it ever end?", (), run, "waiting.timeout", network=False,
                  codes=(Code("waiting.timeout", "it takes too long"),))
"""
COUNTING = """
    from pathlib import Path
    from z4j_probes import Code, Probe, Status, outcome

    async def run(climb):
        attempts = Path(climb.settings.environ["ATTEMPTS"])
        count = len(attempts.read_text()) + 1 if attempts.exists() else 1
        attempts.write_text("x" * count)
        if count < 2:
            return outcome("late.not_yet", "the first attempt is too early")
        return outcome("late.ok", f"ready at attempt {count}")

    PROBE = Probe("late", "Is it ready?", (), run, "late.not_yet", network=False,
                  codes=(Code("late.ok", "ready", status=Status.PASS), Code("late.not_yet", "not ready")))
"""
WARNING = """
    from z4j_probes import Code, Probe, Status, outcome

    async def run(climb):
        return outcome("worn.worn", "it is worn", hint="look after it")

    PROBE = Probe("worn", "Is it worn?", (), run, "worn.worn", network=False,
                  codes=(Code("worn.worn", "worn", status=Status.WARN),))
"""


def test_missing_settings_are_a_document_and_status_1(tmp_path: Path) -> None:
    done = run("doctor", "--json", home=tmp_path)

    report = document(done.stdout)
    assert (done.returncode, report["exit_code"]) == (1, 1)
    assert report["first_failure"] == "config.missing"
    assert done.stderr == ""


def test_offline_is_green_where_settings_and_disk_are(tmp_path: Path) -> None:
    env = {"Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET, "Z4J_BRAIN_URL": "https://brain.invalid"}
    done = run("doctor", "--offline", "--json", home=tmp_path, env=env)

    report = document(done.stdout)
    assert done.returncode == 0, report
    assert report["summary"] == {"pass": 2, "warn": 0, "fail": 0, "skip": 6}
    assert TOKEN not in done.stdout


def test_a_port_where_nobody_listens_is_status_1_with_its_code(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused, and nobody else gets the port
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        env = {"Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET}
        done = run("doctor", "--brain-url", url, "--json", home=tmp_path, env=env)

    assert done.returncode == 1
    assert document(done.stdout)["first_failure"] == "tcp.refused"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nonsense"], "error: no such option: --nonsense"),
        (["--only", "tsl"], "no check named 'tsl' (did you mean tls?)"),
        (["--only", "tls", "--offline"], "--offline"),
        (["--skip", "config"], "no probe is left"),
        (["--format", "yaml"], "yaml"),
        (["--output", "same", "--bundle", "./same"], "name the same file"),
        (["--timeout", "0"], "greater than 0"),
        (["--timeout", "-1"], "invalid value for --timeout (expected seconds: greater than 0"),
        (["--timeout", "nan"], "greater than 0"),
        (["--timeout", "inf"], "at most 604800, a week"),
        (
            ["--wait", "inf"],
            "invalid value for --wait (expected seconds: greater than 0, at most 604800, a week)",
        ),
        (["--wait", "nan"], "invalid value for --wait"),
        (["--watch", "inf"], "invalid value for --watch"),
        (["--watch", "1e12"], "invalid value for --watch"),
        (["--wait", "soon"], "error: invalid value 'soon' for --wait (expected a number)"),
        (["--pid", "0"], "error: invalid value '0' for --pid (expected "),
        (["--wait", "1", "--watch", "1"], "--wait and --watch can't be used together"),
        (["--deadline", "1", "--watch", "1"], "--deadline and --watch can't be used together"),
        (["--deadline", "0"], "invalid value for --deadline"),
        (["--append"], "--append needs --output FILE"),
        (["--label", "shop"], "invalid value for --label (expected KEY=VALUE)"),
        (["--label", "a=1,b=2"], "contains a comma"),
        (["--label", "host=x"], "reports use already"),
        (["--output", "/nonexistent/report"], "/nonexistent"),
    ],
)
def test_a_wrong_command_line_is_status_2_and_said_on_stderr(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    done = run("doctor", "--json", *arguments, home=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["--token", "s3cr3t-value"], ["--hmac-secret=s3cr3t-value"]])
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(
    tmp_path: Path, arguments: list[str]
) -> None:
    done = run("doctor", *arguments, home=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert "-file" in done.stderr
    assert "Z4J_" in done.stderr
    assert "s3cr3t" not in done.stderr


@pytest.mark.parametrize(
    "before", [[], ["--json"], ["--strict", "--"], ["--brain-url", "https://brain.example"]]
)
def test_an_argument_too_many_is_refused_and_not_repeated(tmp_path: Path, before: list[str]) -> None:
    done = run("doctor", *before, "s3cr3t-value", home=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert "no arguments" in done.stderr
    assert "s3cr3t" not in done.stderr


def test_the_token_comes_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN + "\n")
    done = run(
        "doctor",
        "--offline",
        "--json",
        "--token-file",
        str(tmp_path / "token"),
        "--brain-url",
        "https://brain.invalid",
        home=tmp_path,
        env={"Z4J_HMAC_SECRET": SECRET},
    )

    assert done.returncode == 0
    assert document(done.stdout)["config"]["sources"]["token"].startswith("argument")


def test_files_that_do_not_answer_are_a_report_in_time(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    done = run("doctor", "--offline", "--json", home=tmp_path, env={"Z4J_TOKEN_FILE": str(tmp_path / "fifo")})

    report = document(done.stdout)
    assert (done.returncode, report["first_failure"]) == (1, "config.secret_unreadable")
    assert (
        f"{tmp_path}/fifo can't be read (Z4J_TOKEN_FILE): it did not answer" in report["probes"][0]["message"]
    )


def test_an_env_file_that_systemd_reads_otherwise_is_remarked_upon(tmp_path: Path) -> None:
    file = tmp_path / "web.env"
    file.write_text(f"export Z4J_TOKEN={TOKEN}\nZ4J_BRAIN_URL=https://brain.invalid # prod\n")
    done = run("doctor", "--only", "config", "--json", "--env-file", str(file), home=tmp_path)

    (remark,) = document(done.stdout)["config"]["remarks"]
    assert "Z4J_BRAIN_URL, Z4J_TOKEN" in remark
    assert done.stderr == f"{remark}\n"


def test_output_replaces_the_file_and_says_so_on_stderr(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("an older report")
    target.chmod(0o604)
    done = run("doctor", "--json", "--output", str(target), home=tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert document(target.read_text())["first_failure"] == "config.missing"
    assert target.stat().st_mode & 0o777 == 0o604
    assert "error[config.missing]: Z4J_BRAIN_URL, Z4J_TOKEN" in done.stderr, "a build's log has the diagnosis"
    assert done.stderr.endswith(f"Wrote the report to {target}.\n")
    assert [path.name for path in tmp_path.iterdir() if "report" in path.name] == ["report.json"]


def test_a_format_that_is_none_is_told_which_was_meant(tmp_path: Path) -> None:
    done = run("doctor", "--format", "jsn", home=tmp_path)

    assert done.returncode == 2
    assert (
        "error: invalid value 'jsn' for --format (did you mean json?) (choose from table, json, "
        in done.stderr
    )


@pytest.mark.parametrize("form", ["html", "junit", "openmetrics"])
def test_documents_are_not_printed_one_behind_the_other(tmp_path: Path, form: str) -> None:
    done = run("doctor", "--format", form, "--watch", "60", home=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert "--output" in done.stderr


def test_a_name_that_is_no_text_gets_into_every_file(tmp_path: Path) -> None:
    files = (str(tmp_path / "report.json"), str(tmp_path / "bundle.zip"))
    name = os.fsdecode(b"web-\xff")
    done = run(
        "doctor", "--json", "--agent-name", name, "--output", files[0], "--bundle", files[1], home=tmp_path
    )

    assert done.returncode == 1
    assert document(Path(files[0]).read_text())["config"]["agent_name"] == name
    with zipfile.ZipFile(files[1]) as bundle:
        assert b"web-\\udcff" in bundle.read("z4j-doctor/report.txt")


def test_a_full_disk_behind_stdout_is_no_verdict(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("doctor", "--json"),
            env=environment(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 70
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--json"], ["explain"], ["probes"]])
def test_a_reader_that_has_left_is_no_error(tmp_path: Path, arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        command(*arguments),
        env=environment(tmp_path),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)

    assert done.stderr == ""
    assert done.returncode in (0, 1)


def test_ctrl_c_leaves_a_whole_document_of_what_was_known(tmp_path: Path) -> None:
    env = {"Z4J_TOKEN": TOKEN, "Z4J_HMAC_SECRET": SECRET, "Z4J_BRAIN_URL": "https://brain.invalid"}
    env |= install_plugin(tmp_path / "site", "waiting", HANGING)
    ready = tmp_path / ".z4j"
    process = subprocess.Popen(
        command("doctor", "--json", "--only", "buffer", "--only", "waiting", "--timeout", "60"),
        env=environment(tmp_path, env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not ready.exists() and process.poll() is None:
        os.sched_yield()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)

    report = document(stdout)
    assert (process.returncode, report["exit_code"]) == (130, 130)
    assert report["interrupted"] is True
    assert report["probes"][0]["code"] == "config.ok"
    assert report["probes"][-1]["message"] == "not run: interrupted"
    assert stderr == ""


def test_ctrl_c_on_a_terminal_shows_the_rows_and_the_sum(tmp_path: Path) -> None:
    env = install_plugin(tmp_path / "site", "waiting", HANGING)
    status, seen = on_terminal(
        "doctor", "--timeout", "60", home=tmp_path, columns=80, env=env, interrupt_at=b"Does it ever end?"
    )

    assert status == 130
    assert b"Interrupted" in seen
    assert b"config.missing" in seen
    assert b"Traceback" not in seen
    assert seen.rfind(b"1 failed, 8 not run") > seen.rfind(b"  fix   ") > 0


def test_wait_tries_again_until_green(tmp_path: Path) -> None:
    env = install_plugin(tmp_path / "site", "late", COUNTING) | {"ATTEMPTS": str(tmp_path / "attempts")}
    done = run("doctor", "--only", "late", "--wait", "30", "--json", home=tmp_path, env=env)

    assert done.returncode == 0, done.stdout
    assert document(done.stdout)["probes"][-1]["message"] == "ready at attempt 2"
    assert "late.not_yet" in done.stderr


def test_wait_ends_with_the_last_report_when_the_time_is_up(tmp_path: Path) -> None:
    done = run(
        "doctor", "--only", "config", "--wait", "0.05", "--json", home=tmp_path, env=unmounted(tmp_path)
    )

    assert done.returncode == 1
    assert document(done.stdout)["first_failure"] == "config.secret_unreadable"


def test_wait_ends_with_a_reason_and_not_with_an_attempt_that_had_no_time(tmp_path: Path) -> None:
    with closed_port() as port:
        url = f"http://127.0.0.1:{port}"
        env = {"Z4J_BRAIN_URL": url, "Z4J_TOKEN": "t" * 40, "Z4J_HMAC_SECRET": SECRET}
        done = run("doctor", "--wait", "2", "--json", home=tmp_path, env=env)

    report = document(done.stdout)
    assert report["first_failure"] == "tcp.refused"
    assert report["summary"]["fail"] == 1


def test_wait_says_a_reason_once(tmp_path: Path) -> None:
    done = run(
        "doctor", "--only", "config", "--wait", "1.5", "--json", home=tmp_path, env=unmounted(tmp_path)
    )

    assert done.stderr.count("not ready (config.secret_unreadable)") >= 2  # or more, if it is quick
    assert done.stderr.count("No such file") == 1


def test_watch_with_json_prints_a_document_a_line_until_ctrl_c(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("doctor", "--json", "--watch", "0.01"),
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    rest, stderr = process.communicate(timeout=30)

    for line in [*lines, *rest.splitlines()]:
        document(line)
    assert process.returncode == 130
    assert stderr == ""


def test_strict_makes_a_warning_red(tmp_path: Path) -> None:
    env = install_plugin(tmp_path / "site", "worn", WARNING)
    lenient = run("doctor", "--only", "worn", "--json", home=tmp_path, env=env)
    strict = run("doctor", "--only", "worn", "--json", "--strict", home=tmp_path, env=env)

    assert (lenient.returncode, strict.returncode) == (0, 1)
    assert document(strict.stdout)["summary"]["warn"] == 1


def test_a_plug_in_that_crashes_when_loaded_is_a_failed_row(tmp_path: Path) -> None:
    env = install_plugin(tmp_path / "site", "broken", "raise RuntimeError('no such table')")
    done = run("doctor", "--only", "broken", "--json", home=tmp_path, env=env)

    report = document(done.stdout)
    assert (done.returncode, report["first_failure"]) == (1, "broken.unexpected")
    assert "no such table" in report["probes"][-1]["message"]
    assert "plugin-broken" in report["probes"][-1]["hint"]


def test_stdout_that_is_closed_is_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *command("doctor")],
        env=environment(tmp_path),
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stderr == ""


def test_a_working_directory_that_has_been_removed_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    done = subprocess.run(
        ["/bin/sh", "-c", 'rmdir ../release; exec "$@"', "sh", *command("doctor", "--json")],
        env=environment(tmp_path, {"Z4J_TOKEN_FILE": "token"}),
        cwd=tmp_path / "release",
        capture_output=True,
        text=True,
        check=False,
    )

    report = document(done.stdout)
    assert report["first_failure"] == "config.secret_unreadable"
    assert "a directory that has been removed" in report["probes"][0]["hint"]


@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}])
def test_an_ascii_locale_is_no_traceback(tmp_path: Path, env: dict[str, str]) -> None:
    done = run("doctor", home=tmp_path, env=env)

    assert done.returncode == 1
    assert "config.missing" in done.stdout
    assert "  x config" in done.stdout
    assert "\\u2" not in done.stdout
    assert done.stderr == ""


def test_a_service_directory_with_modules_of_our_names_does_not_get_in_the_way(tmp_path: Path) -> None:
    for name in ("probes.py", "cli.py", "reports.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module')")
    done = subprocess.run(
        command("doctor", "--json"),
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert json.loads(done.stdout)["first_failure"] == "config.missing"
