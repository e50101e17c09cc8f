"""`flowengine run`, as a user meets it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.cli_process import CliProcess
from tests.support.valkey import Valkey
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

ROOT = Path(__file__).parents[2]
FAILING = """name: failing
nodes:
  - {id: bad, handler: compute, config: {operation: divide, a: 1, b: 0}}
  - {id: child, handler: compute, config: {operation: add, a: "{{ bad.result }}", b: 1}, dependencies: [bad]}
  - {id: fine, handler: transform, config: {input: ok, transform_type: uppercase}}
"""
HANDLERS = """
import os, time
import msgspec
from flowengine.plugin import Context, handler

class Config(msgspec.Struct):
    pass

@handler("wait_for_ever")
def wait_for_ever(config: Config, context: Context) -> object:
    while True:
        time.sleep(0.05)

@handler("die")
def die(config: Config, context: Context) -> object:
    os._exit(7)
"""
Start = Callable[..., CliProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `flowengine run` in a folder that holds some workflows and handlers."""
    (tmp_path / "failing.yaml").write_text(FAILING)
    (tmp_path / "handlers_of_run.py").write_text(HANDLERS)
    for name in ("wait_for_ever", "die"):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\nnodes: [{{id: only, handler: {name}}}]\n")
    started: list[CliProcess] = []

    def start(*arguments: str, **settings: str) -> CliProcess:
        started.append(CliProcess(tmp_path, "run", *arguments, **settings))
        return started[-1]

    yield start
    for command in started:
        command.process.kill()
        command.process.wait()
        command.await_nothing_left()


def test_example_runs_to_its_end(start: Start) -> None:
    """The README's first command: results, a closing line, exit code 0, nothing left behind."""
    command = start(str(ROOT / "workflows" / "linear_dag.yaml"))
    assert command.wait() == 0, command.stderr
    assert command.stdout.splitlines()[-1].startswith("completed: ")
    assert command.stderr == ""
    command.await_nothing_left()


def test_failed_workflow_exits_with_1(start: Start) -> None:
    """Errors are told, and what did not depend on them has run."""
    command = start("failing.yaml")
    assert command.wait() == 1
    assert "division_by_zero" in command.stdout
    assert 'fine  {"result":"OK"}' in command.stdout


def test_json_is_all_that_is_printed(start: Start) -> None:
    """--json prints the API's results and nothing else."""
    command = start("--json", "failing.yaml")
    assert command.wait() == 1
    results = json.loads(command.stdout)
    assert results["status"] == "failed"
    assert results["results"] == {"fine": {"result": "OK"}}
    assert results["errors"]["child"]["caused_by"] == "bad"
    assert command.stderr == ""


def test_invalid_workflow_exits_with_2(start: Start, tmp_path: Path) -> None:
    """Problems are lines on standard error; nothing is run."""
    (tmp_path / "invalid.yaml").write_text("name: x\nnodes:\n  - {id: a, handler: comput, config: {}}\n")
    command = start("invalid.yaml")
    assert command.wait() == 2
    assert command.stderr.startswith("invalid.yaml:3:22: unknown_handler: ")
    assert command.stdout == ""


def test_missing_file_exits_with_3(start: Start) -> None:
    """One line says why."""
    command = start("nowhere.yaml")
    assert command.wait() == 3
    assert command.stderr == "error: cannot read nowhere.yaml: No such file or directory\n"


def test_unreachable_server_exits_with_3(start: Start) -> None:
    """With REDIS_URL set no server is embedded."""
    command = start("failing.yaml", REDIS_URL="redis://127.0.0.1:1/0")
    assert command.wait() == 3
    assert "error: Redis" in command.stderr
    assert "Traceback" not in command.stderr


def test_given_server_is_used_and_keeps_the_execution(start: Start, valkey: Valkey) -> None:
    """With REDIS_URL set, the execution is found there afterwards."""
    command = start("--json", "failing.yaml", REDIS_URL=valkey.url)
    assert command.wait() == 1
    execution = json.loads(command.stdout)["execution_id"]
    with valkey.connect() as client:
        assert client.exists(f"fe:x:{execution}:meta")


def test_timeout_exits_with_3(start: Start) -> None:
    """--timeout ends a run that does not end, and says how far it got."""
    command = start("--timeout", "2", "wait_for_ever.yaml", FLOWENGINE_HANDLERS="handlers_of_run")
    assert command.wait() == 3
    assert "the time is up" in command.stderr
    command.await_nothing_left()


@pytest.mark.parametrize("moment", ["server", "processes", "node"])
def test_ctrl_c_at_any_moment_leaves_nothing(start: Start, moment: str) -> None:
    """Exit code 130, no traceback, no process, no file, whenever it comes."""
    command = start("wait_for_ever.yaml", FLOWENGINE_HANDLERS="handlers_of_run")
    _await_moment(command, moment)
    command.interrupt()
    assert command.wait(within_s=20) == 130
    assert "Traceback" not in command.stderr
    command.await_nothing_left()


def test_sigkill_leaves_nothing_either(start: Start) -> None:
    """Children and server notice that their owner is gone, and its files go too."""
    command = start("wait_for_ever.yaml", FLOWENGINE_HANDLERS="handlers_of_run")
    _await_moment(command, "node")
    command.process.send_signal(signal.SIGKILL)
    command.wait()
    command.await_nothing_left()


def test_node_that_kills_its_worker_fails_the_run(start: Start) -> None:
    """Its worker is started again each time, until the limit is reached."""
    command = start("die.yaml", FLOWENGINE_HANDLERS="handlers_of_run", FLOWENGINE_LEASE_SECONDS="0.5")
    assert command.wait() == 1
    assert "worker_lost" in command.stdout
    assert command.stderr.count("starting it again") == 3


def _await_moment(command: CliProcess, moment: str) -> None:
    if moment == "server":
        wait_until(lambda: os.listdir(command.temporary), what="the server's folder")
    elif moment == "processes":
        wait_until(lambda: len(command.processes()) >= 4, what="the service processes", within_s=10)
    else:
        command.await_output("running   only")
