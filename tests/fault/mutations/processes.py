"""Rules of processes: how they end, how many there may be, what their threads may have."""

from __future__ import annotations

from typing import Final

from tests.fault.mutations.mutant import Mutant

SUPERVISION: Final = ("tests/e2e/cli/test_cli_supervision.py",)
WATCHDOG: Final = ("tests/unit/engine/test_watchdog.py",)
DRAINING: Final = ("tests/unit/engine/test_draining.py",)
CONNECTIONS: Final = ("tests/integration/store/test_store_connection.py",)
CHILDREN: Final = ("tests/integration/isolated/test_children.py",)
TURNS: Final = ("tests/unit/broker/test_turns.py", "tests/integration/broker/test_broker_turns.py")
PRIORITIES: Final = ("tests/integration/engine/test_engine_priorities.py",)
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
        "            crowd = position in plan.crowd\n",
        "            crowd = False\n",
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
        "        self._crowd = _Share(1)\n",
        "        self._crowd = _Share(1000)\n",
        tests=TURNS,
    ),
    Mutant(
        "of async nodes no more are read than there is room for",
        "flowengine/broker/turn_reader.py",
        "        return self._within(found, most) if self._exact else found\n",
        "        return found\n",
        tests=TURNS,
    ),
    Mutant(
        "nothing is waited for while a line is left out",
        "flowengine/broker/turn_reader.py",
        "            if found := self._read(self._in_turn(), most, None):\n",
        "            if found := self._read(self._in_turn(), most, 1000):\n",
        tests=TURNS,
    ),
    Mutant(
        "a little of low priority takes turns as well",
        "flowengine/broker/turn_reader.py",
        "        if len(found) >= (1 if line == self._low else count):\n",
        "        if len(found) >= count:\n",
        tests=TURNS,
    ),
    Mutant(
        "one in ten is of low priority",
        "flowengine/broker/turn_reader.py",
        "OTHERS_TO_ONE_LOW: Final = 9\n",
        "OTHERS_TO_ONE_LOW: Final = 90\n",
        tests=TURNS,
    ),
    Mutant(
        "high priority does not starve the normal one",
        "flowengine/broker/turn_reader.py",
        "HIGH_TO_ONE_OTHER: Final = 2\n",
        "HIGH_TO_ONE_OTHER: Final = 200\n",
        tests=TURNS,
    ),
    Mutant(
        "a line that was read to its end has no turn",
        "flowengine/broker/turn_reader.py",
        "            self._full.pop(line, None)\n",
        "            pass\n",
        tests=TURNS,
    ),
    Mutant(
        "tasks wait in the line of their priority",
        "flowengine/execution/rules/dispatching.py",
        "            priority = plan.overall.priority\n",
        '            priority = "normal"\n',
        tests=PRIORITIES,
    ),
    Mutant(
        "items have the priority of their document",
        "flowengine/engine/advancing/steps/map_step.py",
        "waits, crowd, plan.overall.priority)",
        "waits, crowd)",
        tests=PRIORITIES,
    ),
    Mutant(
        "groups have the priority of their document",
        "flowengine/workflow/plan.py",
        "decode_plan(bytes(group.plan)).prioritised(plan.overall.priority)",
        "decode_plan(bytes(group.plan))",
        tests=PRIORITIES,
    ),
    Mutant(
        "a line of a priority that nobody reads is not sent to",
        "flowengine/store/lines_beside.py",
        "            if self._is_served(beside, line):\n",
        "            if True:\n",
        tests=PRIORITIES,
    ),
    Mutant(
        "the sweep looks where tasks of a priority wait",
        "flowengine/store/lines_beside.py",
        "waits=waits, crowd=crowd, priority=priority)\n        return tuple",
        "waits=waits, crowd=crowd)\n        return tuple",
        tests=PRIORITIES,
    ),
)
