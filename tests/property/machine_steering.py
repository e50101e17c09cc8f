"""Rules of the machine about what operators do: pauses, resumes, and nodes that they end themselves."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from flowengine.engine.commands.answering.call_back import Carried
from flowengine.errors import CallbackGoneError, StoreUnavailableError, WrongStateError
from flowengine.execution.callback_tokens import token_of
from flowengine.execution.records import NodeError
from flowengine.execution.rules.waits.deciding import Answer
from flowengine.store import keys
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

    @precondition(lambda self: self.model.run and any(self.model.of(n).waits for n in self.model.graph))
    @rule(data=st.data(), crash=crashes(12))
    def send_signal(self, data: st.DataObject, crash: Crash = None) -> None:
        """Somebody sends a signal, early or not; the API may be struck, and was heard or not."""
        hearing = [node for node in self.model.graph if self.model.of(node).waits == "signal"]
        if not hearing or self.status not in OPEN:
            return
        self.follow_stage()
        node, before = data.draw(st.sampled_from(hearing)), self.signals()
        cleans_up = self.status == "cancelling" and self.stage() in HOOKS
        may = (self.status in ("running", "paused") or cleans_up) and self.mark() is None
        with struck(self.harness.api, crash):
            try:
                self.harness.signal(self.execution, node)
                assert may
            except WrongStateError:
                assert not may
            except StoreUnavailableError:
                assert crash is not None
        heard = self.signals() > before
        assert heard or crash is not None or not may
        if heard:
            self.model.send(node)

    def signals(self) -> int:
        """How many have come."""
        return int(self.harness.client.hget(keys.of().signals(self.execution), "n") or 0)

    @precondition(lambda self: self.model.run and any(self.model.of(n).waits for n in self.model.graph))
    @rule(data=st.data(), approved=st.booleans(), crash=crashes(30))
    def decide_node(self, data: st.DataObject, approved: bool, crash: Crash = None) -> None:
        """A person decides about a node that may ask; the API may be struck, and was heard or not."""
        asking = [node for node in self.model.graph if self.model.of(node).waits == "approval"]
        if not asking or self.status not in OPEN:
            return
        self.follow_stage()
        node = data.draw(st.sampled_from(asking))
        before = self.stored().record(node)
        may = before.status == "waiting" and before.waits is not None and before.waits.kind == "approval"
        may = may and self.mark() is None
        with struck(self.harness.api, crash):
            try:
                self.harness.api.executions.decide(self.execution, node, Answer(approved=approved))
                assert may
            except WrongStateError:
                assert not may
            except StoreUnavailableError:
                assert crash is not None
        heard = may and self.stored().record(node).status != "waiting"
        assert heard or crash is not None or not may
        if heard:
            self.move(lambda: self.model.overrule(node, "completed" if approved else "failed"))

    @precondition(lambda self: self.model.run and any(self.model.of(n).waits for n in self.model.graph))
    @rule(data=st.data(), fails=st.booleans(), crash=crashes(30))
    def call_back(self, data: st.DataObject, fails: bool, crash: Crash = None) -> None:
        """A service calls back, perhaps before the node waits; the API may be struck, and heard it or not."""
        called = [node for node in self.model.graph if self.model.of(node).waits == "callback"]
        if not called or self.status not in OPEN:
            return
        self.follow_stage()
        node = data.draw(st.sampled_from(called))
        before = self.stored().record(node)
        early = before.status == "queued" or (before.status == "waiting" and before.in_line)
        may = early or before.status == "waiting"
        may = may and self.mark() is None and before.called is None
        carried = Carried(error=NodeError("told", "no")) if fails else Carried(b"7")
        with struck(self.harness.api, crash):
            try:
                self.harness.api.executions.call_back(self.token_of(node), carried)
                assert may
            except CallbackGoneError:
                assert not may
            except StoreUnavailableError:
                assert crash is not None
        after = self.stored().record(node)
        heard = may and (after.called is not None if early else after.status != "waiting")
        assert heard or crash is not None or not may
        if heard:
            outcome: Outcome = "failed" if fails else "completed"
            self.move(lambda: self.model.call_back(node, outcome, early=early))

    def token_of(self, node: str) -> str:
        """What the handler of a node is given in this run."""
        stored = self.stored()
        seed = self.harness.client.hget(keys.of().inputs(self.execution), keys.SEED)
        return str(token_of(seed, self.execution, stored.plan.index[node], stored.record(node).run))

    @precondition(lambda self: "signal_kept" in self.seen.actors)
    @rule(data=st.data(), crash=crashes(40))
    def bring(self, data: st.DataObject, crash: Crash) -> None:
        """A message that brings signals and nodes together is dealt with: this run's, or an old one."""
        self.deal_with(data.draw(st.sampled_from(self.orders("signal_kept"))), crash, self.pick(data))

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
