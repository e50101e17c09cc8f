"""Rules of processes: how they end, how many there may be, what their threads may have."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

SUPERVISION: Final = ("tests/e2e/cli/test_cli_supervision.py",)
WATCHDOG: Final = ("tests/unit/engine/test_watchdog.py",)
DRAINING: Final = ("tests/unit/engine/test_draining.py",)
CONNECTIONS: Final = ("tests/integration/store/test_store_connection.py",)
CHILDREN: Final = ("tests/integration/isolated/test_children.py",)
TURNS: Final = ("tests/integration/broker/test_broker_turns.py",)
CROWDS: Final = ("tests/unit/rules/test_crowds.py",)
LINES: Final = ("tests/integration/store/test_lines_beside.py",)


MUTANTS: Final = (
    Mutant(
        "as many processes may drain as serve",
        "flowengine/supervision/supervisor.py",
        "[: -max(serving, LEAST_DRAINING)]",
        "[:-LEAST_DRAINING]",
        tests=SUPERVISION,
    ),
    Mutant(
        "all that drain beyond the limit are told to end",
        "flowengine/supervision/supervisor.py",
        "        for child in draining[: -max(serving, LEAST_DRAINING)]:\n",
        "        for child in draining[: -max(serving, LEAST_DRAINING)][:1]:\n",
        tests=SUPERVISION,
    ),
    Mutant(
        "one that is told to end while it drains has the grace and no longer",
        "flowengine/supervision/supervisor.py",
        "self.leaves_by = min(self.leaves_by, time.monotonic() + within_s)",
        "pass",
        tests=SUPERVISION,
    ),
    Mutant(
        "what is about to begin when a process drains has its whole time",
        "flowengine/worker/draining.py",
        "                if delivery.unacknowledged:\n",
        "                if delivery.started and delivery.unacknowledged:\n",
        tests=DRAINING,
    ),
    Mutant(
        "a process whose event loop is blocked is replaced",
        "flowengine/worker/watchdog.py",
        "        if silent_s > self._grace_s and self._may_give_up():\n",
        "        if False:\n",
        tests=WATCHDOG,
    ),
    Mutant(
        "a lost thread does not cut off the nodes beside it",
        "flowengine/worker/watchdog.py",
        "            self._draining.begin(self._grace_s)\n",
        "            self._stop_event.set()\n",
        tests=WATCHDOG,
    ),
    Mutant(
        "each thread may have a connection",
        "flowengine/store/connection/sessions.py",
        "        max_connections=UNLIMITED,\n",
        "",
        tests=CONNECTIONS,
    ),
    Mutant(
        "a child that has died while it waited fails no call",
        "flowengine/handlers/isolated/children.py",
        "                if is_new:\n",
        "                if True:\n",
        tests=CHILDREN,
    ),
    Mutant(
        "what an isolated handler has started is killed with it",
        "flowengine/handlers/isolated/child_process.py",
        "                os.killpg(self._process.pid, signal.SIGKILL)\n",
        "                pass\n",
        tests=CHILDREN,
    ),
    Mutant(
        "an isolated handler that does not stop is killed",
        "flowengine/handlers/isolated/child_process.py",
        "        timer.start()\n",
        "",
        tests=CHILDREN,
    ),
    Mutant(
        "an isolated handler's lines cross before it goes on",
        "flowengine/handlers/isolated/child_side.py",
        "        if not self._telling.locked():\n",
        "        if False:\n",
        tests=CHILDREN,
    ),
    Mutant(
        "secrets of one execution are hidden in child processes",
        "flowengine/handlers/isolated/child_side.py",
        "self._secrets.hiding(job.hidden),",
        "self._secrets.hiding(()),",
        tests=CHILDREN,
    ),
    Mutant(
        "one of many steps back, each time that it is sent",
        "flowengine/execution/rules/dispatching.py",
        "policy.map is None, position in plan.crowd",
        "policy.map is None, False",
        tests=CROWDS,
    ),
    Mutant(
        "the callbacks of a crowd step back as its tasks do",
        "flowengine/engine/running/runner.py",
        "crowd=crowd)\n",
        "crowd=False)\n",
        tests=("tests/unit/engine/test_runner_reports.py",),
    ),
    Mutant(
        "a crowd that nobody reads is not sent to",
        "flowengine/store/lines_beside.py",
        "return crowd_line(line) if crowd and self._is_served(crowd_line(line), line) else line",
        "return crowd_line(line) if crowd else line",
        tests=LINES,
    ),
    Mutant(
        "a queue and its crowd take turns",
        "flowengine/broker/turn_reader.py",
        "                self._crowd_first = line == self._crowd\n",
        "",
        tests=TURNS,
    ),
    Mutant(
        "of async nodes no more are read than there is room for",
        "flowengine/broker/turn_reader.py",
        "        elif self._exact or self._both:\n",
        "        elif self._both:\n",
        tests=TURNS,
    ),
)
