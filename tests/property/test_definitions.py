"""Definitions under applies, deletions and starts in any order, beside a dictionary that does the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowengine.engine.definitions.definitions import NewVersion, Start, StoredDefinitions
from flowengine.errors import DefinitionNotFoundError
from flowengine.store.api_state import RedisApiState
from flowengine.store.definitions.redis_definitions import RedisDefinitions
from flowengine.workflow.posting.posted_document import JSON, PostedDocument
from tests.support.checks.invariants import check_everything
from tests.support.rigs.harness import Harness, plan_of
from tests.support.servers.valkey import Valkey

KEPT: Final = 2
PLANS: Final = {name: plan_of({"a": ()}, name=name, reading=False) for name in ("x", "y")}
STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(("apply", "apply", "apply", "delete", "start")),
        st.sampled_from(tuple(PLANS)),
        st.sampled_from("pqrs"),
    ),
    min_size=4,
    max_size=25,
)


class Model:
    """One name: its versions by number, the one in force, the highest number, those that executions use."""

    def __init__(self) -> None:
        self.versions: dict[int, str] = {}
        self.current: int | None = None
        self.last = 0
        self.used: set[int] = set()

    def apply(self, value: str) -> int:
        """The number that the value has now."""
        known = [number for number, said in self.versions.items() if said == value]
        if not known:
            self.last += 1
            self.versions[self.last] = value
            newest = sorted(self.versions)[-KEPT:]
            kept = {*newest, *self.used}
            self.versions = {number: said for number, said in self.versions.items() if number in kept}
            known = [self.last]
        self.current = known[0]
        return known[0]

    def delete(self) -> bool:
        """Whether there was one."""
        was_there = self.current is not None
        self.versions, self.current = {}, None
        return was_there


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_definitions_are_what_a_dictionary_says(valkey: Valkey, steps: list[tuple[str, str, str]]) -> None:
    """After each step: numbers, what is in force, what is kept, and every invariant."""
    with valkey.connect() as client:
        client.flushall()
    harness = Harness(valkey.url)
    try:
        state = harness.api.state
        found = StoredDefinitions(RedisDefinitions(state), RedisApiState(state), kept_versions=KEPT)
        models = {name: Model() for name in PLANS}
        for step, name, value in steps:
            _take(found, models[name], step, name, value)
            check_everything(harness.client)
            shown = [(item.name, item.version) for item in found.list(limit=9).items]
            assert shown == [(each, model.current) for each, model in models.items() if model.current]
        harness.drain()
        check_everything(harness.client)
    finally:
        harness.close()


def _take(found: StoredDefinitions, model: Model, step: str, name: str, value: str) -> None:
    """One step on both."""
    if step == "apply":
        new = NewVersion(plan=PLANS[name], document=PostedDocument(value.encode(), JSON), value=value)
        assert found.apply(new).view.version == model.apply(value)
    elif step == "delete":
        assert _is_done(lambda: found.delete(name)) == model.delete()
    else:
        was_there = model.current is not None
        assert _is_done(lambda: found.start(name, Start(correlation_id="c"))) == was_there
        model.used |= {model.current} if model.current is not None else set()
    if model.current is not None:
        kept = {item.version: item.current for item in found.versions(name, limit=99).items}
        assert kept == {number: number == model.current for number in model.versions}
        assert found.show(name).document == model.versions[model.current]


def _is_done(work: Callable[[], object]) -> bool:
    try:
        work()
    except DefinitionNotFoundError:
        return False
    return True
