"""The passes of the crash points over maps: items that fail, are tried again, and are run again."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Final

import msgspec

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import WrongStateError
from flowengine.execution.requests.listing import Wanted as Listed
from flowengine.execution.rules.dispatching import Sizes
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.plugin import Context, HandlerError
from flowengine.queues import WORKER_QUEUE
from flowengine.workflow.maps.policy import MapPolicy
from flowengine.workflow.plan import Plan, PlanNode, Task
from flowengine.workflow.policy import Policy, Retry
from tests.fault.crash_scenes.reference import Reference
from tests.support.checks.invariants import check_everything
from tests.support.checks.snapshot import Snapshot
from tests.support.faults import Gate

ITEMS: Final = 5
SPEC: Final = {"items": list(range(ITEMS)), "max_concurrent": 2, "tolerated_failures": 1}


def map_plan() -> Plan:
    """A map whose items are tried twice, and a node that reads what it gives."""
    said = MapPolicy(msgspec.json.encode(SPEC).decode())
    config = msgspec.Raw(b'{"inputs":["{{ item }}"]}')
    total = msgspec.Raw(b'{"inputs":"{{ each.result }}"}')
    each = PlanNode("each", (), Task("sum", config, (), 300_000, WORKER_QUEUE))
    after = PlanNode("after", (0,), Task("sum", total, (0,), 300_000, WORKER_QUEUE))
    return Plan("maps", (each, after), {0: Policy(map=said, retry=Retry(max_attempts=2))})


class Mapped(Reference):
    """Two runs. In the first two items fail for good, which is one too many, and one is tried again; the
    second runs what is left. Two orchestrators take turns."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self.harness.resize(Sizes(chunk_nodes=2))
        self._ran: Counter[tuple[int, str]] = Counter()

    def _script(self, context: Context) -> None:
        key = context.idempotency_key.partition("-each-")[2]
        if context.node_id != "each":
            return
        self._ran[context.run, key] += 1
        if context.run == 1 and (key in ("1", "2") or (key == "0" and context.attempt == 1)):
            raise HandlerError("boom", f"item {key} failed on purpose")

    def run(self) -> None:
        """Both runs, each to its end."""
        harness = self.harness
        harness.second_orchestrator()
        execution = self._api(lambda: harness.create(map_plan()))
        self._trigger(execution)
        self._to_the_end()
        self._judge_first(execution)
        check_everything(harness.client)
        self._trigger(execution)
        self._to_the_end()
        self._judge_second(execution)
        check_everything(harness.client)

    def _judge_first(self, execution: str) -> None:
        view = self._api(lambda: self.harness.api.executions.status(execution))
        errors = [node.error and node.error.code for node in view.nodes]
        assert errors == ["map_failed", "upstream_failed"], errors
        assert {"1", "2"} <= {key for _, key in self._ran}, self._ran

    def _judge_second(self, execution: str) -> None:
        found = self._api(lambda: self.harness.api.executions.results(execution)).results
        result = msgspec.json.decode(found["each"])
        assert result["result"] == [item + 1 for item in range(ITEMS)], result
        assert result["counts"]["completed"] == ITEMS
        assert msgspec.json.decode(found["after"])["result"] == 1 + sum(range(1, ITEMS + 1))
        completed = {key for run, key in self._ran if run == 1} - {"1", "2"}
        again = {key for run, key in self._ran if run == 2} & completed
        assert not again, f"run again though they had completed: {again}"


class ItemsAgain(Mapped):
    """Two items of a completed map are run again, one of which is tried twice. The gate stands from the
    rerun on. `new`: as a new execution, of which there may be more than one where the client asks again."""

    def __init__(self, url: str, gate: Gate, *, new: bool) -> None:
        super().__init__(url, Gate())
        self._gate = gate
        self._new = new

    def _script(self, context: Context) -> None:
        key = context.idempotency_key.partition("-each-")[2]
        if context.node_id != "each":
            return
        self._ran[context.run, key] += 1
        if context.run == 2 and key == "3" and context.attempt == 1:
            raise HandlerError("boom", f"item {key} failed on purpose")

    def run(self) -> None:
        """The first run completes; then the named items run, and no others."""
        harness = self.harness
        harness.second_orchestrator()
        origin = harness.begin(map_plan())
        harness.drain()
        before = self._stored(origin)
        self._stand(self._gate)
        asked = RerunAsked(Wanted("from", items={"each": ("1", "3")}))
        # A client that asks again may learn that it was heard.
        with contextlib.suppress(WrongStateError):
            self._api(lambda: self._ask(origin, asked))
        self._to_the_end()
        self._stand(Gate())
        made, executions = [origin], harness.api.executions
        if self._new:
            assert self._stored(origin) == before, "the origin is another one"
            made = [each.execution_id for each in executions.list(Listed(rerun_of=origin), limit=10).items]
        assert made
        for execution in made:
            view = executions.status(execution)
            assert (view.run, view.status) == (2, "completed")
            self._judge_second(execution)
        assert {key for run, key in self._ran if run == 2} == {"1", "3"}, self._ran
        check_everything(harness.client)

    def _judge_second(self, execution: str) -> None:
        found = self.harness.api.executions.results(execution).results
        result = msgspec.json.decode(found["each"])
        assert result["result"] == [item + 1 for item in range(ITEMS)], result
        assert msgspec.json.decode(found["after"])["result"] == 1 + sum(range(1, ITEMS + 1))

    def _ask(self, origin: str, asked: RerunAsked) -> object:
        executions = self.harness.api.executions
        return (executions.fork if self._new else executions.rerun)(origin, asked)

    def _stored(self, execution: str) -> dict[bytes, bytes | None]:
        """All that is stored of an execution, as Redis dumps it."""
        keys = Snapshot(self.harness.client).starting_with(f"fe:x:{execution}:")
        return {key: self.harness.client.dump(key) for key in keys}
