"""Supervision, over real processes."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowengine.supervision import supervisor
from flowengine.supervision.child_shutdown import FATAL_EXIT
from flowengine.supervision.interrupts import Interrupts
from flowengine.supervision.supervisor import Service, Supervisor
from tests.support.waiting import wait_until

PYTHON = (sys.executable, "-c")
SUPERVISOR = "flowengine.cli.processes.supervisor_process"
# Prints its pid, then ends when its supervisor tells it to or is gone. Two of them share one pipe, and an
# unbuffered print() writes the line break separately. So the line goes out in one write.
GOOD_CHILD = """
import os
from flowengine.supervision.child_shutdown import stop_on_signal, take_lifeline
stop = stop_on_signal(take_lifeline())
os.write(1, b"%d\\n" % os.getpid())
stop.wait()
print("bye", flush=True)
"""
# The first COUNT say that they drain, and end when a file appears; those after them are good.
DRAINING_CHILD = """
import contextlib, os, pathlib, time
from flowengine.supervision.child_shutdown import announce_draining, stop_on_signal, take_lifeline
lifeline = take_lifeline()
stop = stop_on_signal(lifeline)
os.write(1, b"%d\\n" % os.getpid())
folder = pathlib.Path(FOLDER)
def is_one_of_the_first():
    for at in range(COUNT):
        with contextlib.suppress(FileExistsError):
            (folder / str(at)).touch(exist_ok=False)
            return True
    return False
if not is_one_of_the_first():
    stop.wait()
else:
    announce_draining(lifeline, WITHIN)
    while not (folder / "end").exists() and not stop.is_set():
        time.sleep(0.01)
    if stop.is_set():
        (folder / f"told-{os.getpid()}").touch(exist_ok=False)
        time.sleep(LINGERS)
    raise SystemExit(70)
"""
DEAF_CHILD = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
time.sleep(60)
"""


class Told:
    """What a supervisor reported, and what its children printed."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []
        self.lines: list[str] = []

    def report(self, event: str, **fields: object) -> None:
        self.events.append((event, fields))

    def on_line(self, service: str, line: str) -> None:
        self.lines.append(line)

    def count(self, event: str) -> int:
        return sum(told == event for told, _ in self.events)

    def pids(self) -> list[int]:
        return [int(line) for line in self.lines if line.isdigit()]

    def delays(self) -> list[object]:
        return [fields["restart_in_s"] for event, fields in self.events if event == "process.exited"]


class Rig:
    """A supervisor in this process."""

    def __init__(self, script: str, interrupts: Interrupts, *, count: int = 1, grace_s: float = 5.0) -> None:
        self.told = Told()
        self.supervisor = Supervisor(
            [Service("child", (*PYTHON, script))] * count,
            interrupts=interrupts,
            grace_s=grace_s,
            report=self.told.report,
            on_line=self.told.on_line,
        )
        self.supervisor.start()

    def step_until(self, condition: Callable[[], object]) -> None:
        def step_and_look() -> object:
            self.supervisor.step(0.02)
            return condition()

        wait_until(step_and_look, within_s=20)


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    """Signals of the test process."""
    with Interrupts() as found:
        yield found


@pytest.fixture
def start(interrupts: Interrupts) -> Iterator[Callable[..., Rig]]:
    """Starts supervisors that end with the test."""
    rigs: list[Rig] = []

    def start(script: str, *, count: int = 1, grace_s: float = 5.0) -> Rig:
        rigs.append(Rig(script, interrupts, count=count, grace_s=grace_s))
        return rigs[-1]

    yield start
    for rig in rigs:
        rig.supervisor.kill()


def test_killed_child_is_started_again(start: Callable[..., Rig]) -> None:
    """SIGKILL to one of two: a new one comes, the other stays."""
    rig = start(GOOD_CHILD, count=2)
    rig.step_until(lambda: len(rig.told.pids()) == 2)
    victim, survivor = rig.told.pids()
    os.kill(victim, signal.SIGKILL)
    rig.step_until(lambda: len(rig.told.pids()) == 3)
    assert _runs(survivor)
    assert ("process.exited", -9) in [(event, fields.get("exit_code")) for event, fields in rig.told.events]


def test_quick_deaths_wait_longer_each_time(start: Callable[..., Rig]) -> None:
    """A child that dies at once is not started in a busy loop."""
    rig = start("raise SystemExit(3)")
    rig.step_until(lambda: len(rig.told.delays()) == 3)
    assert rig.told.delays() == [0.1, 0.2, 0.4]


def test_child_that_cannot_run_is_not_started_again(start: Callable[..., Rig]) -> None:
    """FATAL_EXIT means that another try would end the same."""
    rig = start(f"raise SystemExit({FATAL_EXIT})")
    rig.step_until(lambda: rig.supervisor.fatal() is not None)
    assert rig.supervisor.fatal() == "child"
    assert [event for event, _ in rig.told.events] == ["process.started", "process.exited"]


def draining_child(folder: Path, within_s: float = 60.0, *, count: int = 1, lingers_s: float = 0.0) -> str:
    """The script of such a child; `lingers_s`: how long it takes to end when it is told to."""
    values = {"FOLDER": str(folder), "WITHIN": within_s, "COUNT": count, "LINGERS": lingers_s}
    script = DRAINING_CHILD
    for name, value in values.items():
        script = script.replace(name, repr(value))
    return script


def test_restarted_child_ends_in_order_and_another_one_comes(start: Callable[..., Rig]) -> None:
    """At once, without being told as a death; also while it is being restarted already."""
    rig = start(GOOD_CHILD)
    rig.step_until(lambda: rig.told.pids())
    rig.supervisor.restart("child")
    rig.supervisor.restart("child")
    rig.step_until(lambda: len(rig.told.pids()) == 2)
    assert rig.told.lines[1] == "bye"
    assert [event for event, _ in rig.told.events] == ["process.started", "process.started"]
    rig.supervisor.restart("another")
    rig.supervisor.step(0.01)
    assert _runs(rig.told.pids()[-1])


def test_restarted_child_that_does_not_end_is_killed(
    start: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the grace and a margin."""
    monkeypatch.setattr(supervisor, "KILL_MARGIN_S", 0.05)
    rig = start(DEAF_CHILD, grace_s=0.05)
    rig.step_until(lambda: rig.told.pids())
    rig.supervisor.restart("child")
    rig.step_until(lambda: len(rig.told.pids()) == 2)
    assert not _runs(rig.told.pids()[0])


@pytest.mark.proves("handler-hangs")
def test_child_that_drains_is_succeeded_at_once_and_ends_by_itself(
    start: Callable[..., Rig], tmp_path: Path
) -> None:
    """What it still runs finishes beside its successor, and nothing is started when it ends."""
    rig = start(draining_child(tmp_path))
    rig.step_until(lambda: len(rig.told.pids()) == 2)
    old, new = rig.told.pids()
    assert _runs(old)
    (tmp_path / "end").touch()
    rig.step_until(lambda: "process.drained" in [event for event, _ in rig.told.events])
    assert [event for event, _ in rig.told.events] == [
        "process.started",
        "process.draining",
        "process.started",
        "process.drained",
    ]
    assert rig.told.events[-1][1]["exit_code"] == 70
    assert _runs(new)


def test_child_that_drains_for_too_long_is_killed(
    start: Callable[..., Rig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the time that it asked for, and a margin."""
    monkeypatch.setattr(supervisor, "KILL_MARGIN_S", 0.2)
    rig = start(draining_child(tmp_path, within_s=0.1))
    rig.step_until(lambda: "process.drained" in [event for event, _ in rig.told.events])
    assert "process.killed" in [event for event, _ in rig.told.events]
    rig.step_until(lambda: len(rig.told.pids()) == 2)
    assert [_runs(pid) for pid in rig.told.pids()] == [False, True]


def test_stop_ends_those_that_drain_too(start: Callable[..., Rig], tmp_path: Path) -> None:
    """A service that ends leaves nobody behind."""
    rig = start(draining_child(tmp_path))
    rig.step_until(lambda: len(rig.told.pids()) == 2)
    rig.supervisor.stop()
    assert not any(map(_runs, rig.told.pids()))
    assert "process.killed" not in [event for event, _ in rig.told.events]


@pytest.mark.proves("handlers-hang")
@pytest.mark.parametrize(("processes", "told"), [(1, 2), (4, 1)])
def test_of_many_that_drain_the_oldest_are_told_to_end(
    start: Callable[..., Rig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    processes: int,
    told: int,
) -> None:
    """As many may drain as serve, and at least three: each takes as much memory as one that serves."""
    monkeypatch.setattr(supervisor, "QUICK_DEATH_S", 0.0)
    rig = start(draining_child(tmp_path, count=5), count=processes)
    rig.step_until(lambda: rig.told.count("process.draining") == 5)
    rig.step_until(lambda: rig.told.count("process.drained") == told)
    rig.step_until(lambda: len(rig.told.pids()) == 5 + processes)
    draining = [fields["pid"] for event, fields in rig.told.events if event == "process.draining"]
    ended = [fields["pid"] for event, fields in rig.told.events if event == "process.drained"]
    assert set(ended) == set(draining[:told])
    assert rig.told.count("process.killed") == 0


@pytest.mark.proves("handlers-hang")
def test_each_that_drains_beyond_the_limit_is_told_once(
    start: Callable[..., Rig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where those told before have not ended yet."""
    monkeypatch.setattr(supervisor, "QUICK_DEATH_S", 0.0)
    rig = start(draining_child(tmp_path, count=5, lingers_s=60.0), grace_s=60.0)
    rig.step_until(lambda: len(list(tmp_path.glob("told-*"))) == 2)
    draining = [fields["pid"] for event, fields in rig.told.events if event == "process.draining"]
    assert {note.name for note in tmp_path.glob("told-*")} == {f"told-{pid}" for pid in draining[:2]}
    rig.supervisor.kill()


def test_one_that_drains_and_is_told_to_end_has_the_grace(
    start: Callable[..., Rig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no longer, whatever it asked for before: it may not hear."""
    monkeypatch.setattr(supervisor, "LEAST_DRAINING", 1)
    monkeypatch.setattr(supervisor, "QUICK_DEATH_S", 0.0)
    monkeypatch.setattr(supervisor, "KILL_MARGIN_S", 0.2)
    rig = start(draining_child(tmp_path, count=2, lingers_s=60.0), grace_s=0.2)
    rig.step_until(lambda: rig.told.count("process.drained") == 1)
    assert rig.told.count("process.killed") == 1
    rig.step_until(lambda: len(rig.told.pids()) == 3)
    assert [_runs(pid) for pid in rig.told.pids()] == [False, True, True]


def test_child_whose_words_nobody_read_ends_with_its_supervisor(tmp_path: Path) -> None:
    """The kernel then answers with an error in the place of an end of file."""
    ours, theirs = socket.socketpair()
    script = draining_child(tmp_path)
    with (
        ours,
        theirs,
        subprocess.Popen([*PYTHON, script], stdin=theirs.fileno(), stdout=subprocess.PIPE) as process,
    ):
        select.select([ours], [], [], 20)
        ours.close()
        assert process.wait(timeout=20) == 70


def test_stop_lets_children_end_in_order(start: Callable[..., Rig]) -> None:
    """SIGTERM reaches them, and their last words arrive."""
    rig = start(GOOD_CHILD)
    rig.step_until(rig.told.pids)
    rig.supervisor.stop()
    assert rig.told.lines[-1] == "bye"
    assert not _runs(rig.told.pids()[0])
    assert "process.killed" not in [event for event, _ in rig.told.events]


def test_second_signal_hastens_the_end(start: Callable[..., Rig], interrupts: Interrupts) -> None:
    """A child that will not end is killed as soon as the user insists, long before the grace is over."""
    rig = start(DEAF_CHILD, grace_s=60)
    rig.step_until(rig.told.pids)
    interrupts.first, interrupts.count = signal.SIGINT, 2
    rig.supervisor.stop()
    assert not _runs(rig.told.pids()[0])
    assert "process.killed" in [event for event, _ in rig.told.events]


def test_very_long_line_is_passed_on_in_pieces(start: Callable[..., Rig]) -> None:
    """The supervisor does not keep output without line breaks in memory."""
    rig = start("import sys; sys.stdout.write('x' * 300_000 + '\\nend\\n'); sys.stdout.flush(); input()")
    rig.step_until(lambda: "end" in rig.told.lines)
    assert sum(map(len, rig.told.lines)) == 300_003
    assert max(map(len, rig.told.lines)) < 200_000


def test_children_end_when_their_supervisor_is_killed() -> None:
    """A supervisor cannot react to SIGKILL. Its children notice that the pipe on standard input ends."""
    with _supervisor_process(GOOD_CHILD, count=2) as process:
        children = [_child_pid(process) for _ in range(2)]
        process.kill()
        process.wait()
        wait_until(lambda: not any(map(_runs, children)), what="the end of the orphans")


def test_sigterm_ends_a_service_in_order() -> None:
    """The supervisor passes it on, waits, and exits with 0."""
    with _supervisor_process(GOOD_CHILD) as process:
        child = _child_pid(process)
        process.terminate()
        assert process.wait(timeout=30) == 0
        assert not _runs(child)


def test_service_whose_child_cannot_run_exits_with_3() -> None:
    """A wrong setting ends the service instead of starting it for ever."""
    with _supervisor_process(f"raise SystemExit({FATAL_EXIT})") as process:
        assert process.wait(timeout=30) == 3


def test_supervisor_is_small() -> None:
    """A supervisor lives as long as its service, so it imports only the standard library, and little."""
    script = f"import json, sys, {SUPERVISOR}; print(json.dumps(sorted(sys.modules)))"
    printed = subprocess.run([*PYTHON, script], capture_output=True, text=True, check=True, timeout=30).stdout
    loaded = {name.partition(".")[0] for name in json.loads(printed)}
    assert loaded.isdisjoint({"click", "msgspec", "redis", "structlog", "rich", "dramatiq", "asyncio"})
    assert loaded.isdisjoint({"typing", "pathlib", "ipaddress", "traceback", "inspect", "uuid"})


def test_event_lines_are_json_where_nobody_watches() -> None:
    """A container's log has one object a line, the supervisor's lines included."""
    with _supervisor_process(GOOD_CHILD) as process:
        assert process.stderr is not None
        line = json.loads(process.stderr.readline())
    assert line["event"] == "process.started"
    assert line["service"] == "test"


def test_handler_cannot_read_the_lifeline() -> None:
    """A child's standard input is empty. A handler that reads it neither waits nor takes the signal."""
    script = GOOD_CHILD.replace(
        "stop.wait()", "import sys; print(repr(sys.stdin.read()), flush=True); stop.wait()"
    )
    with _supervisor_process(script) as process:
        child = _child_pid(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "''\n"
        process.kill()
        process.wait()
        wait_until(lambda: not _runs(child), what="the end of the orphan")


class _supervisor_process:  # noqa: N801 - reads as a function
    """The supervisor that `flowengine worker` becomes, with a child of the test."""

    def __init__(self, script: str, *, count: int = 1) -> None:
        program = [sys.executable, "-m", SUPERVISOR, "test", str(count)]
        self._argv = [*program, "--grace", "5", "--", *PYTHON, script]

    def __enter__(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(
            self._argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        return self._process

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.communicate()


def _child_pid(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return not (status.exists() and "State:\tZ" in status.read_text())
