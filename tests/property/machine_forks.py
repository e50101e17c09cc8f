"""Rules of the machine about forks: new executions that reruns make of what runs, or has ended.

A fork is compared with its model once it has begun. Until then it copies, while the first one may go on: a
run of that which begins meanwhile ends the fork.
"""

from __future__ import annotations

from typing import Final

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from flowengine.engine.commands.rerun import RerunAsked, RerunNotPossibleError
from flowengine.errors import StoreUnavailableError, WrongStateError
from flowengine.execution.messages import CopyResults
from flowengine.execution.rules.steering.rerunning import RerunMode, Wanted
from flowengine.store import keys
from tests.property.machine_book import Crash, Life, crashes, struck
from tests.property.machine_reruns import RerunRules, begun_again
from tests.support.checks.reference_model import LEFT, Model
from tests.support.rigs.harness import Entry

MOST_LIVES: Final = 3


class Copying(msgspec.Struct, frozen=True):
    """A fork that has not begun: of which run of which execution, and what it is as it begins."""

    life: Life
    origin: Life
    run: int


class ForkRules(RerunRules):
    """An execution that callers run again as a new one; then both go on."""

    def __init__(self) -> None:
        super().__init__()
        self.copying: Copying | None = None
        self.copied: list[Entry] = []
        """The messages of copying that were delivered before."""

    @precondition(lambda self: self.copying is None and self.model.run and len(self.lives) < MOST_LIVES)
    @rule(
        data=st.data(),
        mode=st.sampled_from(["failed", "from", "from", "all"]),
        at_once=st.sampled_from([True, True, True, False]),
        crash=crashes(60),
    )
    def fork(self, data: st.DataObject, mode: RerunMode, at_once: bool, crash: Crash) -> None:
        """A new execution is made of this one, whatever it is about; the API may be struck, and was heard or
        not. Perhaps all is copied at once."""
        self.follow_stage()
        nodes = self.model.nodes("main")
        some = st.lists(st.sampled_from(nodes), min_size=1, max_size=3, unique=True)
        named = data.draw(some) if mode == "from" else []
        skipped = [node for node in data.draw(st.just([]) | some) if node not in named]
        try:
            with struck(self.harness.api, crash):
                asked = RerunAsked(Wanted(mode, tuple(named), tuple(skipped)))
                self.harness.api.executions.fork(self.execution, asked)
        except RerunNotPossibleError:
            assert named, "what no node is named for is possible"
            return
        except WrongStateError:
            assert mode == "failed"
            assert not skipped
            assert self.status == "completed"
            return
        except StoreUnavailableError:
            assert crash is not None
        waiting = self.copies()
        if not waiting:
            assert crash is not None
            return
        made = msgspec.json.decode(waiting[0].payload, type=CopyResults).execution
        model = self.model_of_fork(nodes if mode == "all" else named, skipped, retries=mode == "failed")
        self.copying = Copying(Life(made, model), self.life, self.model.run)
        if at_once:
            self.copy_all(data)
        if at_once and self.lives[-1].execution == made and data.draw(st.booleans()):
            self.life = self.lives[-1]

    def copy_all(self, data: st.DataObject) -> None:
        """To the end, with nothing between."""
        while self.copying is not None:
            self.copy_some(data, self.copies()[0], None)

    @precondition(lambda self: self.copying is not None)
    @rule(data=st.data(), crash=crashes(20))
    def copy(self, data: st.DataObject, crash: Crash) -> None:
        """Some of what a fork reuses is copied, or once more; the orchestrator may die over it."""
        self.copy_some(data, data.draw(st.sampled_from([*self.copies(), *self.copied])), crash)

    @precondition(lambda self: len(self.lives) > 1)
    @rule(data=st.data())
    def turn(self, data: st.DataObject) -> None:
        """What comes next is about another one of the executions."""
        self.life = data.draw(st.sampled_from([life for life in self.lives if life is not self.life]))

    def copies(self) -> list[Entry]:
        """The messages that wait of what is copied."""
        return [entry for entry in self.harness.waiting("orchestrator") if entry.actor == "copy_results"]

    def copy_some(self, data: st.DataObject, entry: Entry, crash: Crash) -> None:
        """A message of the copying is delivered. The fork that begins with it lives on."""
        copying, process = self.copying, self.pick(data)
        assert copying is not None
        self.copied.append(entry)
        with struck(process, crash):
            delivered = self.harness.deliver(process, entry)
        assert delivered or crash is not None
        status, run = self.harness.client.hmget(keys.of().control(copying.life.execution), "status", "run")
        if (status, run) == (b"pending", b"0"):
            return
        self.copying = None
        self.copied = []
        if copying.origin.model.run != copying.run:
            assert status == b"failed", "it was made of a run that is over"
            return
        assert status == b"running"
        self.lives.append(copying.life)

    def model_of_fork(self, named: list[str], skipped: list[str], *, retries: bool) -> Model:
        """What the fork is as it begins."""
        model, behind = self.model, self.behind(self.stored())
        open_ones = [
            n for n in model.graph if model.status[n] in LEFT or model.fate(n) in ("left", "failing")
        ]
        untaken = {*behind, *open_ones}
        if retries:
            reset = model.reset_by_trigger({*untaken, *skipped})
        else:
            reset = begun_again(model, {*named, *skipped}, untaken)
        return model.fork(reset, skipped)
