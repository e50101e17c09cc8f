"""`flowengine run` on a server that others use: it sees to its own workflow; they finish what it leaves."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowengine.bootstrap import build_executions
from flowengine.handlers.loading import load_registry
from flowengine.queues import own_queues_key, stream_key
from flowengine.settings import Settings
from flowengine.store import keys
from tests.e2e.cli_process import CliProcess
from tests.support.rigs.harness import plan_of
from tests.support.rigs.stack_processes import FLOWENGINE, ROOT, START_S, Process, Stack, running_stack
from tests.support.servers.valkey import Valkey
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes through /proc")

HANDLERS = "tests.e2e.run_handlers"
STEPS = 6
LEASE_MS = 1500
QUICK = {"FLOWENGINE_LEASE_SECONDS": "1.5", "FLOWENGINE_SWEEP_SECONDS": "1", "FLOWENGINE_GRACE_SECONDS": "1"}


def chain(folder: Path, *, gate: Path | None = None) -> str:
    """A file with a workflow of some nodes in a row; the third waits for the file `gate`."""
    lines = ["name: chain", "nodes:"]
    for step in range(STEPS):
        config = f"{{file: {gate}}}" if gate is not None and step == 2 else "{}"
        parents = f", dependencies: [n{step - 1}]" if step else ""
        lines.append(f"  - {{id: n{step}, handler: test_name, config: {config}{parents}}}")
    path = folder / "chain.yaml"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def run_in(folder: Path, valkey: Valkey, name: str) -> CliProcess:
    """A run of its own, whose nodes give its name."""
    folder.mkdir()
    settings = {"REDIS_URL": valkey.url, "FLOWENGINE_HANDLERS": HANDLERS, "NAME_OF_THE_PROCESS": name}
    return CliProcess(folder, "run", "--json", chain(folder), **settings, PYTHONPATH=str(ROOT))


def names(results: dict[str, dict[str, str]]) -> list[str]:
    """Whose processes have run the nodes."""
    return [results[f"n{step}"]["name"] for step in range(STEPS)]


@pytest.mark.proves("run-on-shared-server")
def test_others_work_is_left_alone(tmp_path: Path, valkey: Valkey) -> None:
    """What waits there, for handlers that the run does not know too, waits there afterwards."""
    others = build_executions(Settings(redis_url=valkey.url), load_registry(()))
    waiting = others.create(plan_of({"a": ()}), correlation_id="c").execution_id
    others.trigger(waiting, correlation_id="c")
    with valkey.connect() as client:
        client.xadd(stream_key("worker"), {"a": "run_node", "p2": "{}"})
        before = {key: client.xrange(key) for key in (stream_key("orchestrator"), stream_key("worker"))}
        command = run_in(tmp_path / "one", valkey, "one")
        assert command.wait() == 0, command.stderr
        assert names(json.loads(command.stdout)["results"]) == ["one"] * STEPS
        assert {key: client.xrange(key) for key in before} == before
        assert client.xinfo_groups(stream_key("worker")) == []
        odd = [key for key in client.scan_iter() if b"@" in key or key == own_queues_key().encode()]
        assert odd == []
    assert others.status(waiting).counts.pending == 1
    command.await_nothing_left()


@pytest.mark.proves("run-on-shared-server")
def test_two_runs_at_once_do_not_meet(tmp_path: Path, valkey: Valkey) -> None:
    """The nodes of each run in its own processes."""
    runs = {name: run_in(tmp_path / name, valkey, name) for name in ("one", "two")}
    for name, command in runs.items():
        assert command.wait() == 0, command.stderr
        assert names(json.loads(command.stdout)["results"]) == [name] * STEPS
        command.await_nothing_left()


@pytest.fixture
def shared() -> Iterator[Stack]:
    """A stack that others use."""
    settings = {"FLOWENGINE_HANDLERS": HANDLERS, "NAME_OF_THE_PROCESS": "others", **QUICK}
    with running_stack(settings=settings) as stack:
        yield stack


def started_run(stack: Stack, gate: Path) -> tuple[Process, str]:
    """A run on the stack's server that has come to its third node, and its execution."""
    argv = [FLOWENGINE, "run", "--json", chain(stack.folder, gate=gate)]
    command = stack.launch("run", argv, NAME_OF_THE_PROCESS="run")
    wait_until(lambda: running(stack), within_s=START_S, what="its execution")
    [execution] = running(stack)
    wait_until(stack.node_is(execution, "n2", "running"), within_s=START_S, what="its third node")
    return command, execution


def running(stack: Stack) -> list[str]:
    """The executions that run."""
    with stack.valkey.connect() as client:
        return [member.decode() for member in client.zrange(keys.of().index("running"), 0, -1)]


def own_queues(stack: Stack) -> dict[bytes, float]:
    """The queues that executions have of their own, and when their leases end, in milliseconds."""
    with stack.valkey.connect() as client:
        found: list[tuple[bytes, float]] = client.zrange(own_queues_key(), 0, -1, withscores=True)
        return dict(found)


@pytest.mark.proves("run-killed-on-shared-server")
def test_a_killed_run_is_finished_by_others(shared: Stack, tmp_path: Path) -> None:
    """Until its lease has lapsed nobody touches it, however long a node takes; then they run elsewhere."""
    command, execution = started_run(shared, tmp_path / "gate")
    first = max(own_queues(shared).values())
    wait_until(
        lambda: max(own_queues(shared).values()) > first + 3 * LEASE_MS, what="three leases have passed"
    )
    os.kill(command.pid, signal.SIGKILL)
    wait_until(lambda: not own_queues(shared), within_s=30, what="what is left of it is handed over")
    (tmp_path / "gate").touch()
    ended = shared.ended(execution)
    assert names(ended.results) == ["run"] * 2 + ["others"] * (STEPS - 2)
    assert ended.node("n2")["attempt"] == 1
    logged = shared.only("orchestrator").records("execution.handed_over")
    assert [record["execution_id"] for record in logged] == [execution]
    assert not [line for line in shared.lines() if "sweep.repaired" in line]


@pytest.mark.proves("run-killed-on-shared-server")
def test_an_interrupted_run_is_finished_by_others_at_once(shared: Stack, tmp_path: Path) -> None:
    """It hands over what is left by itself. What it says of the execution is true."""
    command, execution = started_run(shared, tmp_path / "gate")
    command.interrupt()
    assert command.wait(30) == 130
    assert own_queues(shared) == {}
    [said] = [line for line in command.lines if line.startswith("interrupted: ")]
    assert said.endswith(
        f"execution {execution} goes on with the services of the server that REDIS_URL names; "
        f"see: flowengine show {execution}"
    )
    (tmp_path / "gate").touch()
    ended = shared.ended(execution)
    assert names(ended.results) == ["run"] * 2 + ["others"] * (STEPS - 2)
