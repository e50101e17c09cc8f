"""`flowengine run`, as a user runs it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowengine.store import keys
from tests.e2e.cli_process import CliProcess
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

ROOT = Path(__file__).parents[3]
FAILING = """name: failing
nodes:
  - {id: bad, handler: compute, config: {operation: divide, a: 1, b: 0}}
  - {id: child, handler: compute, config: {operation: add, a: "{{ bad.result }}", b: 1}, dependencies: [bad]}
  - {id: fine, handler: transform, config: {input: ok, transform_type: uppercase}}
"""
STARTING = "starting ...\n"
LIBRARIES = ("litestar", "dramatiq", "redis", "httpx", "jinja2", "uvicorn")
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

@handler("touch")
def touch(config: Config, context: Context) -> object:
    open("touched", "w").close()
    return {"egress": context.environment("FLOWENGINE_EGRESS")}

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
    for name in ("wait_for_ever", "touch", "die"):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\nnodes: [{{id: only, handler: {name}}}]\n")
    started: list[CliProcess] = []

    def start(*arguments: str, **settings: str) -> CliProcess:
        settings = {"FLOWENGINE_HANDLERS": "handlers_of_run", **settings}
        started.append(CliProcess(tmp_path, "run", *arguments, **settings))
        return started[-1]

    yield start
    for command in started:
        command.close()


def test_example_runs_to_its_end(start: Start) -> None:
    """The README's first command: results, a closing line, exit code 0, nothing left behind."""
    command = start(str(ROOT / "workflows" / "linear_dag.yaml"))
    assert command.wait() == 0, command.stderr
    assert command.stdout.splitlines()[-1].startswith("completed: ")
    assert command.stderr == STARTING
    command.await_nothing_left()


def test_failed_workflow_exits_with_1(start: Start) -> None:
    """Errors are printed, and nodes that did not depend on them have run."""
    command = start("failing.yaml")
    assert command.wait() == 1
    assert command.stdout.count("division_by_zero") == 1
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
    assert command.stderr.startswith(f"{STARTING}invalid.yaml:3:22: unknown_handler: ")
    assert command.stdout == ""


def test_json_says_why_there_are_no_results(start: Start, tmp_path: Path) -> None:
    """An invalid file and one that cannot be read give an object as well, with the API's members."""
    (tmp_path / "invalid.yaml").write_text("name: x\nnodes:\n  - {id: a, handler: comput, config: {}}\n")
    invalid = start("--json", "invalid.yaml")
    assert invalid.wait() == 2
    told = json.loads(invalid.stdout)
    assert (told["code"], told["problems"][0]["code"]) == ("invalid_workflow", "unknown_handler")
    missing = start("--json", "nowhere.yaml")
    assert missing.wait() == 3
    assert json.loads(missing.stdout) == {
        "code": "could_not_run",
        "detail": "cannot read nowhere.yaml: No such file or directory",
    }


def test_missing_file_exits_with_3(start: Start) -> None:
    """One line says why."""
    command = start("nowhere.yaml")
    assert command.wait() == 3
    assert command.stderr == f"{STARTING}error: cannot read nowhere.yaml: No such file or directory\n"


def test_wrong_module_of_handlers_is_told_once(start: Start) -> None:
    """The services find the same mistake as they start. Only the command reports it."""
    command = start("failing.yaml", FLOWENGINE_HANDLERS="json")
    assert command.wait() == 3
    assert command.stderr.count("has no handler") == 1


def test_unreachable_server_exits_with_3(start: Start) -> None:
    """With REDIS_URL set no server is embedded."""
    command = start("failing.yaml", REDIS_URL="redis://127.0.0.1:1/0")
    assert command.wait() == 3
    assert "error: Redis" in command.stderr
    assert "Traceback" not in command.stderr


def test_given_server_is_used_and_keeps_the_execution(start: Start, valkey: Valkey) -> None:
    """With REDIS_URL set, the execution is found there afterwards, under the id that was told."""
    command = start("--json", "touch.yaml", REDIS_URL=valkey.url)
    assert command.wait() == 0
    told = json.loads(command.stdout)
    execution = told["execution_id"]
    assert command.stderr == f"execution {execution} on the server that REDIS_URL names\n"
    with valkey.connect() as client:
        assert client.exists(keys.of(keys.partition_of(execution)).control(execution))
    assert told["results"]["only"] == {"egress": None}, "others' work ran with more egress than they set"


def test_private_server_lets_nodes_call_this_machine(start: Start) -> None:
    """On a private server, only the user's own workflow runs."""
    command = start("--json", "touch.yaml")
    assert command.wait() == 0
    assert json.loads(command.stdout)["results"]["only"] == {"egress": "any"}


def test_interrupt_on_a_given_server_tells_what_goes_on(start: Start, valkey: Valkey) -> None:
    """The execution goes on, so the message names its id."""
    command = start("wait_for_ever.yaml", REDIS_URL=valkey.url)
    command.await_output("running   only")
    command.interrupt()
    assert command.wait(within_s=20) == 130
    execution = command.stderr.splitlines()[1].split()[1]
    assert f"interrupted: 0 of 1 nodes were completed; execution {execution} goes on" in command.stderr


def test_timeout_exits_with_3(start: Start) -> None:
    """--timeout ends a run that does not end, and says how far it got and what is kept."""
    command = start("--timeout", "8", "wait_for_ever.yaml")
    assert command.wait() == 3
    came_to_it = "running   only" in command.stdout  # a slow machine may take so long to start
    ended = "0 of 1 nodes were completed; the execution ended with its server, nothing of it is kept"
    assert f"the time is up (--timeout): {ended if came_to_it else 'nothing was started'}" in command.stderr
    command.await_nothing_left()


def test_timeout_does_not_count_the_start(start: Start, tmp_path: Path) -> None:
    """It counts from the trigger: a start that takes longer than it leaves the workflow all of its time."""
    (tmp_path / "slow_start.py").write_text("import time\ntime.sleep(2)\nfrom handlers_of_run import *\n")
    slow = start("--timeout", "3.5", "touch.yaml", FLOWENGINE_HANDLERS="slow_start")
    assert slow.wait() == 0, slow.stderr


def test_timeout_tells_how_far_the_run_came(start: Start) -> None:
    """However short it is, the workflow was started before it began to count."""
    command = start("--timeout", "0.05", "wait_for_ever.yaml")
    assert command.wait() == 3
    assert "the time is up (--timeout): 0 of 1 nodes were completed" in command.stderr


def test_invalid_workflow_starts_no_process(start: Start, tmp_path: Path) -> None:
    """Only the process that checks the file imports the handlers, and no server keeps files."""
    (tmp_path / "noting.py").write_text(
        "import os\nfrom handlers_of_run import *\n"
        "with open('imported', 'a') as file:\n"
        "    file.write(f'{os.getpid()} {os.listdir(os.environ[\"TMPDIR\"])}\\n')\n"
    )
    (tmp_path / "invalid.yaml").write_text("name: x\nnodes:\n  - {id: a, handler: tuch}\n")
    command = start("invalid.yaml", FLOWENGINE_HANDLERS="noting")
    assert command.wait() == 2
    assert (tmp_path / "imported").read_text() == f"{command.process.pid} []\n"
    command.await_nothing_left()


def test_run_costs_little_more_than_its_libraries(tmp_path: Path) -> None:
    """Processor time of all its processes, in units of one Python that imports them; the best of some."""
    (tmp_path / "short.yaml").write_text(
        "name: x\nnodes: [{id: a, handler: compute, config: {operation: add, a: 1, b: 2}}]\n"
    )
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONDONTWRITEBYTECODE", "REDIS_URL") and not name.startswith("FLOWENGINE_")
    }
    environment["PYTHONPYCACHEPREFIX"] = str(tmp_path / "compiled")

    def seconds(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-P", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            check=True,
            timeout=60,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    ratios = []
    for _ in range(6):
        of_run = seconds("-m", "flowengine", "run", "short.yaml")
        ratios.append(of_run / seconds("-c", f"import {', '.join(LIBRARIES)}"))
        if ratios[-1] < 1.6:
            break
    assert min(ratios) < 1.6, ratios


@pytest.mark.parametrize("moment", ["server", "processes"])
def test_ctrl_c_during_the_start_starts_nothing(start: Start, tmp_path: Path, moment: str) -> None:
    """Exit code 130 and a message. The node has not run, and nothing is left."""
    (tmp_path / "slow_in_services.py").write_text(
        "import os, time\ntime.sleep(5 if os.environ.get('REDIS_URL') else 0)\n"
        "from handlers_of_run import *\n"
    )
    command = start("touch.yaml", FLOWENGINE_HANDLERS="slow_in_services")
    _await_moment(command, moment)
    command.interrupt()
    assert command.wait(within_s=20) == 130
    assert command.stderr == f"{STARTING}interrupted\n"
    assert not (tmp_path / "touched").exists()
    command.await_nothing_left()


def test_ctrl_c_while_a_node_runs_leaves_nothing(start: Start) -> None:
    """Exit code 130, no traceback, no process, no file."""
    command = start("wait_for_ever.yaml")
    _await_moment(command, "node")
    command.interrupt()
    assert command.wait(within_s=20) == 130
    assert "Traceback" not in command.stderr
    command.await_nothing_left()


def test_sigkill_leaves_nothing_either(start: Start) -> None:
    """Children and server notice that their owner is gone, and its files go too."""
    command = start("wait_for_ever.yaml")
    _await_moment(command, "node")
    command.process.send_signal(signal.SIGKILL)
    command.wait()
    command.await_nothing_left()


def test_node_that_kills_its_worker_fails_the_run(start: Start) -> None:
    """Its worker is started again each time, until the limit is reached."""
    command = start("die.yaml", FLOWENGINE_LEASE_SECONDS="0.5")
    assert command.wait() == 1
    assert "worker_lost" in command.stdout
    assert command.stderr.count("starting it again") == 3


def _await_moment(command: CliProcess, moment: str) -> None:
    if moment == "server":
        wait_until(lambda: os.listdir(command.temporary), what="the server's folder")
    elif moment == "processes":
        wait_until(lambda: len(command.processes()) >= 4, what="the service processes", within_s=30)
    else:
        command.await_output("running   only")
