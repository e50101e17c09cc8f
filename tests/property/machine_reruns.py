"""Rules of the machine about reruns of what has ended: of everything, or from some nodes."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from flowengine.engine.commands.rerun import RerunAsked, RerunNotPossibleError
from flowengine.errors import StoreUnavailableError
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.store import keys
from tests.property.machine_book import OPEN, WORDS, Crash, crashes, struck
from tests.property.machine_commands import CommandRules
from tests.support.checks.reference_model import Model, Outcome, parents_first


class RerunRules(CommandRules):
    """An execution that callers run again."""

    @property
    def may_rerun(self) -> bool:
        """Whether a rerun is accepted, where it can be done: the end that the model sees is written."""
        self.follow_stage()
        return self.model.run > 0 and self.model.execution_status == self.status not in OPEN

    @precondition(lambda self: self.seen.may_rerun)
    @rule(data=st.data(), everything=st.booleans(), crash=crashes(20))
    def rerun(self, data: st.DataObject, everything: bool, crash: Crash) -> None:
        """Everything, or some nodes, begin again; the API may be struck, and was heard or not."""
        nodes = self.model.nodes("main")
        named = data.draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=3, unique=True))
        wanted = Wanted("all") if everything else Wanted("from", tuple(named))
        run = None
        with struck(self.harness.api, crash):
            try:
                run = self.harness.api.executions.rerun(self.execution, RerunAsked(wanted)).run
            except RerunNotPossibleError:
                assert not everything
            except StoreUnavailableError:
                assert crash is not None
        stored = int(self.harness.client.hget(keys.of().control(self.execution), "run"))
        assert run in (None, stored)
        if stored != self.model.run:
            first = nodes if everything else named
            self.model.begin_again(begun_again(self.model, first), anew=first)
        assert stored == self.model.run

    @precondition(lambda self: self.model.maps and self.seen.may_rerun)
    @rule(data=st.data(), crash=crashes(20))
    def rerun_items(self, data: st.DataObject, crash: Crash) -> None:
        """Some items of a map begin again; the API may be struck, and was heard or not."""
        maps = [node for node in self.model.nodes("main") if node in self.model.maps]
        maps = [node for node in maps if self.model.maps[node].says.items]
        if not maps:
            return
        node = data.draw(st.sampled_from(maps))
        indexes = range(self.model.maps[node].says.items)
        named = data.draw(st.sets(st.sampled_from(indexes), min_size=1, max_size=3))
        wanted = Wanted("from", items={node: tuple(str(index) for index in sorted(named))})
        reset, run = begun_again(self.model, [node]), None
        with struck(self.harness.api, crash):
            try:
                run = self.harness.api.executions.rerun(self.execution, RerunAsked(wanted)).run
                assert self.model.keeps_items(node, reset, named=True)
            except RerunNotPossibleError:
                run = None
            except StoreUnavailableError:
                assert crash is not None
        stored = int(self.harness.client.hget(keys.of().control(self.execution), "run"))
        assert run in (None, stored)
        if stored != self.model.run:
            self.model.begin_again(reset, items={node: named})
        assert stored == self.model.run

    @precondition(lambda self: self.steered and self.seen.may_rerun)
    @rule(data=st.data(), outcome=st.sampled_from(list(WORDS)), crash=crashes(20))
    def overrule_ended(self, data: st.DataObject, outcome: Outcome, crash: Crash) -> None:
        """An operator ends a node of what has ended: another run begins with that."""
        node = data.draw(st.sampled_from(self.model.nodes("main")))
        with struck(self.harness.api, crash):
            try:
                self.harness.overrule(self.execution, node, WORDS[outcome])
            except StoreUnavailableError:
                assert crash is not None
        stored = int(self.harness.client.hget(keys.of().control(self.execution), "run"))
        assert crash is not None or stored == self.model.run + 1
        if stored != self.model.run:
            self.model.begin_again(begun_again(self.model, [node]), anew=[node])
            self.move(lambda: self.model.overrule(node, outcome))
        assert stored == self.model.run


def begun_again(model: Model, named: Collection[str], untaken: Collection[str] = ()) -> set[str]:
    """The nodes that begin again with these: all below them, and what a stop has left undecided. `untaken`:
    what has not ended, and so begins from its start in a new execution."""
    found = {node for listed in model.stages.values() for node in listed}
    for node in parents_first(model.graph):
        undecided = model.status[node] == "cancelled" or node in model.ended_early or node in model.ends
        if undecided or node in named or node in untaken or not found.isdisjoint(model.graph[node]):
            found.add(node)
    return found
