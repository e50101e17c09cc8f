"""Passes over definitions: one that is applied, started, applied anew and deleted, one that others follow,
and one that starts at times."""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec

from flowengine.engine.definitions.definitions import NewVersion, Start, StoredDefinitions
from flowengine.errors import DefinitionNotFoundError, FlowEngineError
from flowengine.execution.requests.idempotency import AlreadyAnsweredError
from flowengine.execution.views.executions import moment
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, HandlerError
from flowengine.workflow.posting.posted_document import JSON, PostedDocument
from flowengine.workflow.schedules.declared import Schedule
from tests.fault.crash_scenes.reference import Reference, asked
from tests.integration.schedules.schedule_rig import BEGIN, MINUTE, MovedClock
from tests.support.checks.invariants import check_everything
from tests.support.checks.reference_model import Graph, expected_values
from tests.support.child_plans import apply
from tests.support.faults import Gate, ProcessDied
from tests.support.group_plans import adds
from tests.support.rigs.harness import Harness, plan_of

NAME: Final = "applied"
FIRST: Final[Graph] = {"a": (), "b": ("a",)}
SECOND: Final[Graph] = {"a": (), "b": ("a",), "c": ("a", "b")}


class Applied(Reference):
    """Two versions, an execution of each, and a deletion. The gate stands all the time: the client repeats
    what it gets no answer to."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self.harness.script = lambda context: None

    def run(self) -> None:
        """Each version is one, each start is done once, and both executions end as they began."""
        started = {}
        for number, graph in enumerate((FIRST, SECOND), 1):
            assert self._apply(graph) == number
            check_everything(self.harness.client)
            started[self._start(f"start {number}")] = graph
        assert self._apply(FIRST) == 1
        self._delete()
        self._to_the_end()
        self._stand(Gate())
        assert len(check_everything(self.harness.client)) == len(started)
        for number, (execution, graph) in enumerate(started.items(), 1):
            view = self.harness.api.executions.status(execution)
            assert (view.status, view.version) == ("completed", number)
            assert self.harness.results(execution) == expected_values(graph)
        assert not self.harness.client.keys("fe:version:*")
        assert self._api(lambda: self._definitions.list(limit=9)).items == ()

    @property
    def _definitions(self) -> StoredDefinitions:
        return self.harness.api.executions.definitions

    def _apply(self, graph: Graph) -> int:
        said = ",".join(graph)
        new = NewVersion(
            plan=plan_of(graph, name=NAME), document=PostedDocument(said.encode(), JSON), value=said
        )
        return self._api(lambda: self._definitions.apply(new)).view.version

    def _start(self, key: str) -> str:
        request = asked(key)

        def ask() -> str:
            try:
                return self._definitions.start(NAME, Start(correlation_id="c", request=request)).execution_id
            except AlreadyAnsweredError as before:
                return before.view.execution_id

        return self._api(ask)

    def _delete(self) -> None:
        # A client that asks again may learn that it was heard.
        with contextlib.suppress(DefinitionNotFoundError):
            self._api(lambda: self._definitions.delete(NAME))


class Chained(Reference):
    """An execution that fails first, is triggered again, and completes: another definition follows each of
    these ends."""

    def _script(self, context: Context) -> None:
        if context.node_id == "extract" and context.run == 1:
            raise HandlerError("boom", "failed on purpose")

    def run(self) -> None:
        """Each of the two starts once, with what the execution has given, and both sides know of it."""
        harness = self.harness
        failed = {"workflow": "extract", "status": ["failed"]}
        given = {"workflow": "extract", "inputs": {"size": "{{ trigger.outputs.size }}"}}
        last = {"size": "{{ extract.result }}"}
        self._api(lambda: apply(harness, "extract", nodes=[adds("extract")], outputs=last))
        self._api(lambda: apply(harness, "tell", nodes=[adds("t")], after=[failed]))
        sizes: JsonValue = {"size": {"type": "integer"}}
        self._api(lambda: apply(harness, "load", nodes=[adds("l")], inputs=sizes, after=[given]))
        execution = self._start()
        self._to_the_end()
        assert self._followers(execution) == ["tell"]
        check_everything(harness.client)
        self._trigger(execution)
        self._to_the_end()
        assert self._followers(execution) == ["tell", "load"]
        assert len(check_everything(harness.client)) == len(("extract", "tell", "load"))
        assert not harness.client.exists("fe:timers:followers")

    def _start(self) -> str:
        start = Start(correlation_id="c", request=asked("start"))

        def ask() -> str:
            try:
                return self.harness.api.executions.definitions.start("extract", start).execution_id
            except AlreadyAnsweredError as before:
                return before.view.execution_id

        return self._api(ask)

    def _followers(self, execution: str) -> list[str]:
        found = self._api(lambda: self.harness.api.executions.status(execution)).followers
        assert not isinstance(found, msgspec.UnsetType), "nothing has started"
        assert all(one.execution_id is not None for one in found), found
        return [one.name for one in found]


class Scheduled(Reference):
    """A schedule whose times come, are missed for a while, are paused and go on, by a clock of the scene."""

    def __init__(self, url: str, gate: Gate) -> None:
        self.quick = False
        self.clock = MovedClock(BEGIN)
        self.harness = Harness(url, gate=gate, clock=self.clock)

    def run(self) -> None:
        """Each time starts one execution: also those that nobody has noticed, not those of the pause."""
        schedule = Schedule(cron="* * * * *", catch_up="all", overlap="allow")
        new = NewVersion(
            plan=plan_of({"a": ()}, name=NAME),
            document=PostedDocument(b"{}", JSON),
            value="1",
            schedules=(schedule,),
        )
        self._api(lambda: self.harness.api.executions.definitions.apply(new))
        self._pass(1)
        self._pass(4)
        self._api(lambda: self.harness.api.executions.schedules.pause(NAME, "default"))
        self._pass(3)
        self._api(lambda: self.harness.api.executions.schedules.resume(NAME, "default"))
        self._pass(1)
        self._stand(Gate())
        self._pass(0)
        page = self.harness.api.executions.schedules.history(NAME, "default", limit=500)
        planned = [BEGIN + MINUTE * at for at in (1, 2, 3, 4, 5, 9)]
        assert [one.outcome for one in page.items] == ["started"] * len(planned), page.items
        assert [one.scheduled_at for one in page.items][::-1] == [moment(at) for at in planned]
        assert {stored.id for stored in check_everything(self.harness.client)} == {
            one.execution_id for one in page.items
        }

    def _pass(self, minutes: int) -> None:
        """Let time pass; what has come due meanwhile fires, and runs to its end."""
        self.clock.at += minutes * MINUTE
        for _ in range(2 * minutes + 4):
            process = self.harness.orchestrators[0]
            self.harness.gate.acts()
            try:
                process.timers.fire_due()
            except FlowEngineError:
                continue
            except ProcessDied:
                process.reborn()
            self.harness.drain()
