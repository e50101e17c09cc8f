"""Rules of the machine about what callers ask for: triggers and cancels, heard or not, and refused ones."""

from __future__ import annotations

import pytest
from hypothesis.stateful import precondition, rule

from flowengine.errors import FlowEngineError, StoreUnavailableError, WrongStateError
from flowengine.store import keys
from tests.property.machine_book import OPEN, Crash, ExecutionBook, crashes, struck


class CommandRules(ExecutionBook):
    """An execution that callers start, and cancel if it is one of those that are stopped (`stops`)."""

    @property
    def may_trigger(self) -> bool:
        """Whether a trigger is accepted: not while the end that the model sees is still to be written."""
        if not self.model.may_trigger:
            return False
        self.follow_stage()
        status = self.status
        if status != self.model.execution_status:
            assert status == self.model.status_until_it_ends
            assert self.may_end_yet()
        return status == self.model.execution_status

    @precondition(lambda self: self.seen.may_trigger)
    @rule(crash=crashes(20))
    def trigger(self, crash: Crash = None) -> None:
        """Start, or retry what failed; the API may be struck, and was heard or not."""
        run = None
        with struck(self.harness.api, crash):
            try:
                run = self.harness.trigger(self.execution)
            except StoreUnavailableError:
                assert crash is not None
        stored = int(self.harness.client.hget(keys.of().control(self.execution), "run"))
        assert run in (None, stored)
        if crash is None or stored != self.model.run:
            self.model.trigger()
        assert stored == self.model.run

    @precondition(lambda self: not self.seen.may_trigger)
    @rule(crash=crashes(30))
    def look_on(self, crash: Crash) -> None:
        """A trigger is refused, and the sweep finds nothing to repair, wherever one of its turns is cut."""
        with pytest.raises(WrongStateError):
            self.harness.trigger(self.execution)
        process, running = self.harness.orchestrators[0], self.left_of_all()
        for strike in (None, crash, None, None):
            with struck(process, strike):
                try:
                    assert process.sweep.run() == 0
                except FlowEngineError:
                    assert strike is not None
        self.note_ended_of_all(running)

    @precondition(lambda self: self.stops)
    @rule(crash=crashes(12))
    def cancel(self, crash: Crash = None) -> None:
        """A caller cancels it, which is refused once it has ended; the API may be struck, and was heard or
        not."""
        self.follow_stage()
        before, marked = self.status, self.mark()
        cleans_up = self.model.run > 0 and self.model.fixed == "cancelled"
        with struck(self.harness.api, crash):
            try:
                self.harness.cancel(self.execution)
                assert before in ("pending", *OPEN)
            except WrongStateError:
                assert before not in ("pending", *OPEN)
            except StoreUnavailableError:
                assert crash is not None
        if before == "pending":
            heard = self.status == "cancelled"
        elif before in OPEN and marked is None and not cleans_up:
            heard = self.mark() is not None
        else:
            assert (self.status, self.mark()) == (before, marked)
            return
        assert heard or crash is not None
        if heard:
            self.move(self.model.cancel)
