"""The pass of the crash points over nodes that wait."""

from __future__ import annotations

from typing import Final

from flowengine.plugin import Context, Later
from tests.fault.crash_scenes.reference import Reference
from tests.support.checks.invariants import check_everything
from tests.support.checks.reference_model import Graph, Says
from tests.support.faults import Gate
from tests.support.rigs.harness import plan_of

WAITING: Final[Graph] = {"start": (), "held": ("start",), "put_off": ("start",), "both": ("held", "put_off")}
WAITING_SAYS: Final = {"held": Says(waits=True)}


class Waited(Reference):
    """One run, in which one node waits for a time and the handler of another puts off its first call."""

    def __init__(self, url: str, gate: Gate) -> None:
        super().__init__(url, gate)
        self._put_off = False

    def _script(self, context: Context) -> None:
        if context.node_id == "put_off" and not self._put_off:
            self._put_off = True
            raise Later(60.0)

    def run(self) -> None:
        """The run, and both waits to their ends."""
        harness = self.harness
        execution = self._api(lambda: harness.create(plan_of(WAITING, says=WAITING_SAYS)))
        self._trigger(execution)
        self._to_the_end()
        view = self._api(lambda: harness.api.executions.status(execution))
        assert {node.status for node in view.nodes} == {"completed"}
        assert {node.id: node.attempt for node in view.nodes} == dict.fromkeys(WAITING, 1)
        check_everything(harness.client)
