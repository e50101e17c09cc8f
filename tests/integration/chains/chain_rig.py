"""Applied documents that follow one another, over a harness."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from flowengine.engine.definitions.definitions import Applied, NewVersion, Start
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.views.executions import ExecutionView, FollowerView
from flowengine.jsonvalue import JsonValue
from flowengine.queues import ORCHESTRATOR_QUEUE
from flowengine.settings import Limits, Settings
from flowengine.workflow import check_document
from flowengine.workflow.posting.posted_document import JSON, PostedDocument
from tests.support.faults import Gate
from tests.support.rigs.harness import Entry, Harness, registry

NODES: JsonValue = [{"id": "a", "handler": "sum", "config": {"inputs": [1]}}]


class ChainRig:
    """A harness with definitions of one node, which may follow others."""

    def __init__(self, url: str, *, gate: Gate | None = None, settings: Settings | None = None) -> None:
        self.harness = Harness(url, gate=gate, settings=settings or Settings(lease_s=60.0))
        self.versions = 0

    def apply(self, name: str, *after: JsonValue, **more: JsonValue) -> Applied:
        """Another version of a definition that follows these."""
        document: JsonValue = {"name": name, "nodes": NODES, "after": list(after), **more}
        checked = check_document(document, registry(), Limits())
        assert checked.plan is not None, checked.problems
        self.versions += 1
        new = NewVersion(
            plan=checked.plan,
            document=PostedDocument(b"{}", JSON),
            value=str(self.versions),
            after=checked.after,
            runs=tuple([each.name for each in checked.calls if not each.follows]),
        )
        return self.harness.api.executions.definitions.apply(new)

    def start(self, name: str, **inputs: JsonValue) -> str:
        """An execution of a definition."""
        asked = Start(correlation_id="test", inputs=inputs)
        return self.harness.api.executions.definitions.start(name, asked).execution_id

    def run(self, name: str, **inputs: JsonValue) -> str:
        """One that has ended, with all that follows from it."""
        execution = self.start(name, **inputs)
        self.harness.drain()
        return execution

    def end(self, name: str) -> tuple[str, Entry]:
        """One that has ended, and the message that tells of it."""
        execution = self.start(name)
        return execution, self.end_of(execution)

    def end_of(self, execution: str) -> Entry:
        """Let an execution run to its end; the message that tells of it."""
        for _ in range(100):
            for one in self.ends():
                if execution.encode() in one.payload:
                    return one
            for one in self.harness.waiting(ORCHESTRATOR_QUEUE):
                self.harness.deliver(self.harness.orchestrators[0], one)
            for one in self.harness.tasks():
                self.harness.deliver(self.harness.workers[0], one)
        raise AssertionError(f"nobody tells of the end of {execution}")

    def fire(self, execution: str) -> None:
        """The timer of an end is due, and what it brings about is done."""
        self.harness.client.execute_command("ZADD", "fe:timers:followers", 0, f"{execution}|1")
        self.harness.fire_timers()

    def strike(self, gate: Gate) -> None:
        """From now on this gate counts the commands of the orchestrators, and strikes."""
        for process in self.harness.orchestrators:
            process.line.gate = gate

    def ends(self) -> list[Entry]:
        """The messages that tell of ends."""
        return [one for one in self.harness.waiting(ORCHESTRATOR_QUEUE) if one.actor == "start_followers"]

    def view(self, execution: str) -> ExecutionView:
        """What the API shows of an execution."""
        return self.harness.api.executions.status(execution)

    def followers(self, execution: str) -> Sequence[FollowerView]:
        """What its ends have started."""
        found = self.view(execution).followers
        return () if isinstance(found, msgspec.UnsetType) else found

    def of(self, name: str) -> list[ExecutionRecord]:
        """The records of all executions of a definition, the oldest first."""
        keys = self.harness.client.keys("fe:x:*:control")
        ids = sorted([key.decode().split(":")[2] for key in keys])
        found = self.harness.api.state.read_executions(ids)
        return [one for one in found if one is not None and one.name == name]
