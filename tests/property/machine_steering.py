"""Rules of the machine about what operators do: pauses, resumes, and nodes that they end themselves."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from flowengine.errors import StoreUnavailableError, WrongStateError
from flowengine.workflow.stages import OUTPUTS_NODE
from tests.property.machine_book import OPEN, WORDS, Crash, crashes, struck
from tests.property.machine_commands import CommandRules
from tests.support.checks.reference_model import HOOKS, LEFT, Outcome


class SteeringRules(CommandRules):
    """An execution that operators steer, if it is one of those (`steered`)."""

    @precondition(lambda self: self.steered)
    @rule(crash=crashes(8))
    def pause(self, crash: Crash = None) -> None:
        """An operator pauses it, which is refused unless it runs; the API may be struck, and was heard or
        not."""
        self.follow_stage()
        before, marked = self.status, self.mark()
        may = before in ("running", "paused") and marked is None
        with struck(self.harness.api, crash):
            try:
                self.harness.api.executions.pause(self.execution)
                assert may
            except WrongStateError:
                assert not may
            except StoreUnavailableError:
                assert crash is not None
        heard = before == "running" and self.status == "paused"
        assert heard or crash is not None or before == "paused" or not may
        if heard:
            self.model.pause()
            behind = self.behind(self.stored())
            self.model.take_back([node for node in behind if self.is_queued(node)])

    @precondition(lambda self: self.steered)
    @rule(crash=crashes(12))
    def resume(self, crash: Crash = None) -> None:
        """An operator lets it go on. The message that dispatches what is ready comes later."""
        self.follow_stage()
        before, marked = self.status, self.mark()
        may = before in ("running", "paused") and marked is None
        with struck(self.harness.api, crash):
            try:
                self.harness.api.executions.resume(self.execution)
                assert may
            except WrongStateError:
                assert not may
            except StoreUnavailableError:
                assert crash is not None
        heard = before == "paused" and self.status == "running"
        assert heard or crash is not None or before == "running" or not may
        if heard:
            self.model.resume()

    @precondition(lambda self: self.steered and self.model.run)
    @rule(data=st.data(), outcome=st.sampled_from(list(WORDS)), crash=crashes(30))
    def overrule(self, data: st.DataObject, outcome: Outcome, crash: Crash = None) -> None:
        """An operator ends a node of what has not ended; the API may be struck, and was heard or not."""
        self.follow_stage()
        if self.status not in ("pending", *OPEN):
            return
        node = data.draw(st.sampled_from([node for node in self.model.graph if node != OUTPUTS_NODE]))
        stored = self.stored()
        is_behind = node in self.behind(stored)
        if is_behind and self.model.status[node] not in LEFT:
            return  # what the model has decided about it, somebody is still to decide
        before = stored.record(node)
        may = self.lets_overrule(node) and before.status in LEFT
        with struck(self.harness.api, crash):
            try:
                self.harness.overrule(self.execution, node, WORDS[outcome])
                assert may
            except WrongStateError:
                assert not may
            except StoreUnavailableError:
                assert crash is not None
        heard = may and self.stored().record(node).status not in LEFT
        assert heard or crash is not None or not may
        if heard and is_behind:
            self.model.take_back([node])
        if heard:
            self.move(lambda: self.model.overrule(node, outcome))

    def lets_overrule(self, node: str) -> bool:
        """Whether something may be decided about a node of this stage."""
        cleans_up = self.status == "cancelling" and self.stage() in HOOKS
        decides = self.status in ("running", "paused") or cleans_up
        return decides and self.mark() is None and node in self.model.nodes()

    @precondition(lambda self: self.seen.actors & {"resume_execution", "node_overruled"})
    @rule(data=st.data(), crash=crashes(40))
    def look_at_all(self, data: st.DataObject, crash: Crash) -> None:
        """The message of a resume or of an operator's word is dealt with: this run's, or an old one."""
        orders = [*self.orders("resume_execution"), *self.orders("node_overruled")]
        self.deal_with(data.draw(st.sampled_from(orders)), crash, self.pick(data))
