"""The pass of the crash points whose results are sent to a `callback_url`."""

from __future__ import annotations

from flowengine.engine.delivering.ports import Answered, Outgoing
from tests.fault.crash_scenes.reference import Reference
from tests.support.checks.invariants import check_everything
from tests.support.faults import Gate
from tests.support.rigs.harness import plan_of


class Delivered(Reference):
    """One run, whose results are refused once and taken then."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self.harness.receiver = self._receive
        self._calls: list[str] = []

    def _receive(self, outgoing: Outgoing) -> Answered:
        self._calls.append(outgoing.webhook_id)
        return Answered(503, "busy", 1) if len(self._calls) == 1 else Answered(200, None, 1)

    def run(self) -> None:
        """The run, and its delivery to the end."""
        harness = self.harness
        plan, url = plan_of({"a": ()}), "https://hooks.example.com/x"
        execution = self._api(lambda: harness.create(plan, callback_url=url))
        self._trigger(execution)
        self._to_the_end()
        assert self._api(lambda: harness.api.executions.status(execution)).status == "completed"
        (shown,) = self._api(lambda: harness.api.executions.deliveries(execution)).items
        assert (shown.state, shown.attempts[-1].status_code) == ("delivered", 200)
        assert set(self._calls) == {f"{execution}-1"}
        assert not harness.client.exists("fe:delivering", "fe:timers:delivery")
        check_everything(harness.client)
