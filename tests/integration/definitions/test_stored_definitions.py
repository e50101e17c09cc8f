"""Definitions in Redis: versions, ways back, retention, races, and cuts at every command."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.engine.definitions.definitions import Applied, NewVersion, Start, StoredDefinitions
from flowengine.errors import DefinitionNotFoundError, StoreFullError, StoreUnavailableError
from flowengine.execution.requests.idempotency import AlreadyAnsweredError, idempotent_request
from flowengine.execution.requests.listing import Wanted
from flowengine.execution.rules.steering.rerunning import Wanted as RerunWanted
from flowengine.settings import Settings
from flowengine.store import keys
from flowengine.store.api_state import RedisApiState
from flowengine.store.definitions.redis_definitions import RedisDefinitions
from flowengine.workflow.posting.posted_document import JSON, PostedDocument, unpack
from tests.support.checks.invariants import CheckEverything, check_everything
from tests.support.faults import WAYS, Gate, ProcessDied, Way
from tests.support.rigs.harness import Harness, diamond, plan_of

NAME = "nightly: {report} ü"


def new(value: str, *, name: str = NAME, text: bytes | None = None) -> NewVersion:
    """A document that says `value`."""
    said = value.encode() if text is None else text
    plan = plan_of(diamond(), name=name)
    return NewVersion(plan=plan, document=PostedDocument(said, JSON), value=value, labels={"team": "data"})


def definitions(harness: Harness) -> StoredDefinitions:
    """As the API has them."""
    return harness.api.executions.definitions


def numbers(found: StoredDefinitions, name: str = NAME) -> list[int]:
    """The versions that are kept, newest first."""
    return [item.version for item in found.versions(name, limit=500).items]


def with_versions(harness: Harness, most: int) -> StoredDefinitions:
    """The same, that keep so few."""
    state = harness.api.state
    return StoredDefinitions(RedisDefinitions(state), RedisApiState(state), kept_versions=most)


def rival_of(harness: Harness) -> StoredDefinitions:
    """The same, of another process."""
    state = harness.orchestrators[0].state
    return StoredDefinitions(RedisDefinitions(state), RedisApiState(state), kept_versions=50)


@pytest.mark.proves("definition-versions")
def test_a_definition_lives_from_its_first_version_to_its_end(
    harness: Harness, check_invariants: CheckEverything
) -> None:
    """New, the same, another, a way back; then deleted, and applied again under a new number."""
    found = definitions(harness)

    def apply(value: str) -> tuple[int, int | None, bool]:
        applied = found.apply(new(value))
        check_invariants()
        return applied.view.version, applied.view.previous, applied.is_new

    assert apply("a") == (1, None, True)
    assert apply("a") == (1, 1, False)
    assert apply("b") == (2, 1, True)
    assert apply("a") == (1, 2, False)
    assert apply("c") == (3, 1, True)
    assert [(item.version, item.current) for item in found.versions(NAME, limit=9).items] == [
        (3, True),
        (2, False),
        (1, False),
    ]
    assert [(item.name, item.version) for item in found.list(limit=9).items] == [(NAME, 3)]
    assert (found.show(NAME).document, found.show(NAME, 2).document) == ("c", "b")
    assert found.delete(NAME).version == 3
    check_invariants()
    assert found.list(limit=9).items == ()
    with pytest.raises(DefinitionNotFoundError):
        found.show(NAME)
    assert harness.client.ttl(keys.of().definition(NAME)) > 360 * 86_400
    assert apply("a") == (4, None, True)
    assert harness.client.ttl(keys.of().definition(NAME)) == -1


@pytest.mark.proves("definition-versions")
def test_a_text_that_says_the_same_takes_the_place_of_the_one_before(harness: Harness) -> None:
    """It is the same version, with its newest comments; nothing is written where nothing differs."""
    found = definitions(harness)
    found.apply(new("a", text=b"first"))
    before = harness.client.dump(keys.of().definition(NAME))
    assert found.apply(new("a", text=b"first")).view.version == 1
    assert harness.client.dump(keys.of().definition(NAME)) == before
    assert found.apply(new("a", text=b"second")).view.version == 1
    assert (found.show(NAME).document, numbers(found)) == ("second", [1])
    check_everything(harness.client)


@pytest.mark.proves("definition-pinned")
def test_an_execution_stays_with_its_version(harness: Harness, check_invariants: CheckEverything) -> None:
    """Whatever is applied, and though the definition is deleted: it has its own copy."""
    found, executions = definitions(harness), harness.api.executions
    found.apply(new("a"))
    started = found.start(NAME, Start(correlation_id="c", labels={"by": "me"}))
    found.apply(new("b"))
    newer = found.start(NAME, Start(correlation_id="c"))
    older = found.start(NAME, Start(correlation_id="c", version=1))
    assert (started.version, newer.version, older.version) == (1, 2, 1)
    found.delete(NAME)
    check_invariants()
    harness.drain()
    view = executions.status(started.execution_id)
    assert (view.status, view.version, view.labels) == ("completed", 1, {"team": "data", "by": "me"})
    assert executions.document(started.execution_id) == PostedDocument(b"a", JSON)
    assert executions.preview_rerun(started.execution_id, RerunAsked(RerunWanted("all"))).version == 1
    listed = executions.list(Wanted(name=NAME, version=1), limit=9)
    assert [item.execution_id for item in listed.items] == [older.execution_id, started.execution_id]
    assert {item.version for item in listed.items} == {1}
    assert [stored.status for stored in check_invariants()] == ["completed"] * 3
    for each in (started, newer, older):
        harness.delete(each.execution_id)
    harness.drain()
    assert check_invariants() == []


@pytest.mark.proves("definition-cut")
def test_a_repeated_start_is_answered_though_its_definition_is_gone(harness: Harness) -> None:
    """As it was then; another request finds none."""
    found = definitions(harness)
    found.apply(new("a"))
    asked = Start(correlation_id="c", request=idempotent_request(("start",), "one", ()))
    started = found.start(NAME, asked)
    found.delete(NAME)
    with pytest.raises(AlreadyAnsweredError) as again:
        found.start(NAME, asked)
    assert again.value.view == started
    with pytest.raises(DefinitionNotFoundError):
        found.start(NAME, Start(correlation_id="c"))
    harness.drain()


@pytest.mark.proves("definition-retention")
def test_versions_that_nobody_uses_go_beyond_the_newest(harness: Harness) -> None:
    """One of which an execution is kept stays until that has gone, and goes with the next new version."""
    found = with_versions(harness, 3)
    found.apply(new("1"))
    used = found.start(NAME, Start(correlation_id="c"))
    for number in range(2, 6):
        found.apply(new(str(number)))
        check_everything(harness.client)
    assert numbers(found) == [5, 4, 3, 1]
    assert harness.client.exists(keys.of().version(NAME, 2)) == 0
    harness.drain()
    harness.delete(used.execution_id)
    harness.drain()
    found.apply(new("6"))
    assert numbers(found) == [6, 5, 4]
    found.apply(new("4"))
    found.apply(new("7"))
    assert numbers(found) == [7, 6, 5]
    check_everything(harness.client)


@pytest.mark.proves("definition-retention")
def test_the_version_in_force_is_never_dropped(harness: Harness) -> None:
    """Though it is the oldest: only a new one takes its place, and drops it with the next."""
    found = with_versions(harness, 1)
    for value in ("a", "b", "a", "c"):
        found.apply(new(value))
        check_everything(harness.client)
        assert found.show(NAME).document == value


@pytest.mark.proves("definition-at-once")
def test_of_two_applies_at_once_both_are_versions_or_one(harness: Harness) -> None:
    """Two real threads, fifty times: different documents get two numbers, the same one gets one."""
    together = threading.Barrier(2)

    def apply(value: str) -> Applied:
        together.wait()
        return definitions(harness).apply(new(value))

    with ThreadPoolExecutor(2) as pool:
        for turn in range(25):
            first, second = pool.map(apply, [f"a{turn}", f"b{turn}"])
            assert {first.view.version, second.view.version} == {3 * turn + 1, 3 * turn + 2}
            one, same = pool.map(apply, [f"c{turn}"] * 2)
            assert {one.view.version, same.view.version} == {3 * turn + 3}
            assert sorted((one.is_new, same.is_new)) == [False, True]
    check_everything(harness.client)


@pytest.mark.proves("definition-at-once")
@pytest.mark.parametrize("rival", ["apply", "delete"])
def test_who_is_overtaken_between_read_and_write_decides_anew(harness: Harness, rival: str) -> None:
    """By another version, or by a deletion: no number is given twice, and no version is lost."""
    found = definitions(harness)
    found.apply(new("a"))
    other = rival_of(harness)
    act: Callable[[], object] = (
        (lambda: other.apply(new("b"))) if rival == "apply" else lambda: other.delete(NAME)
    )
    harness.api.state.between = act
    applied = found.apply(new("c"))
    assert not harness.api.state.hooked
    check_everything(harness.client)
    if rival == "apply":
        assert (applied.view.version, applied.view.previous, numbers(found)) == (3, 2, [3, 2, 1])
    else:
        assert (applied.view.version, applied.view.previous, numbers(found)) == (2, None, [2])


@pytest.mark.proves("definition-at-once")
def test_a_delete_that_is_overtaken_deletes_what_came_between(harness: Harness) -> None:
    """It is asked for later than that."""
    found = definitions(harness)
    found.apply(new("a"))
    other = rival_of(harness)
    harness.api.state.between = lambda: other.apply(new("b"))
    assert found.delete(NAME).version == 2
    check_everything(harness.client)


@pytest.mark.proves("definition-cut")
@pytest.mark.parametrize("way", WAYS)
def test_an_apply_and_a_start_cut_anywhere_are_done_once_when_they_are_repeated(
    harness: Harness, check_invariants: CheckEverything, way: Way
) -> None:
    """Whether they were heard or not: one version, with its content, and one execution."""
    process = harness.api
    for at in range(1, 60):
        name, request = f"d{at}", idempotent_request(("start",), str(at), ())

        def ask(name: str = name) -> None:
            found = process.executions.definitions
            found.apply(new("a", name=name))
            with contextlib.suppress(AlreadyAnsweredError):
                found.start(name, Start(correlation_id="c", request=request))  # noqa: B023

        gate = process.line.gate = Gate(at=at, way=way)
        with contextlib.suppress(StoreUnavailableError, ProcessDied):
            ask()
        if process.line.dead:
            process.reborn()
        process.line.gate = Gate()
        check_invariants()
        ask()
        assert numbers(definitions(harness), name) == [1]
        assert len(harness.client.keys("fe:x:*:control")) == at, "it was done twice, or not at all"
        if gate.struck is None:
            break
    assert gate.struck is None, "not every command was tried"
    harness.drain()
    assert {each.status for each in check_invariants()} == {"completed"}


@pytest.mark.proves("definition-cut")
@pytest.mark.parametrize("way", WAYS)
def test_a_delete_cut_anywhere_leaves_all_or_nothing(harness: Harness, way: Way) -> None:
    """And is done once it is repeated."""
    process = harness.api
    for at in range(1, 30):
        definitions(harness).apply(new("a"))
        definitions(harness).apply(new("b"))
        gate = process.line.gate = Gate(at=at, way=way)
        with contextlib.suppress(StoreUnavailableError, ProcessDied):
            definitions(harness).delete(NAME)
        if process.line.dead:
            process.reborn()
        process.line.gate = Gate()
        check_everything(harness.client)
        with contextlib.suppress(DefinitionNotFoundError):
            definitions(harness).delete(NAME)
        assert not harness.client.keys("fe:version:*")
        if gate.struck is None:
            break
    assert gate.struck is None, "not every command was tried"


def test_a_full_store_takes_no_new_version(harness: Harness) -> None:
    """What is the same costs nothing, and is answered."""
    found = definitions(harness)
    found.apply(new("a"))
    state = harness.api.state
    full = replace(harness.settings, max_stored_bytes=1)
    state.settings = full
    limited = StoredDefinitions(RedisDefinitions(state), RedisApiState(state), kept_versions=5)
    with pytest.raises(StoreFullError):
        limited.apply(new("b"))
    assert limited.apply(new("a")).view.version == 1
    assert numbers(found) == [1]


def test_a_definition_is_read_by_name_and_version_for_who_starts_one(harness: Harness) -> None:
    """What an orchestrator needs: the plan with its inputs, the document, the labels."""
    definitions(harness).apply(new("a"))
    definitions(harness).apply(new("b"))
    source = RedisDefinitions(harness.orchestrators[0].state)
    found, first = source.definition(NAME), source.definition(NAME, 1)
    assert found is not None
    assert first is not None
    assert (found.version, first.version, first.current) == (2, 1, 2)
    assert (found.plan, unpack(found.document).text) == (new("b").plan, b"b")
    assert dict(first.record.labels) == {"team": "data"}
    assert source.definition(NAME, 3) is None
    assert source.definition("absent") is None


def test_a_page_of_names_goes_on_where_the_one_before_ended(harness: Harness) -> None:
    """By the bytes of the names, each once."""
    found = definitions(harness)
    names = ["a", "a b", "b", "é", "z:1", "z:1:2"]
    for name in reversed(names):
        found.apply(new("v", name=name))
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = found.list(limit=2, cursor=cursor)
        seen += [item.name for item in page.items]
        cursor = page.next_cursor
    assert seen == sorted(names, key=str.encode)
    check_everything(harness.client)


def test_settings_say_how_many_versions_are_kept() -> None:
    """Fifty unless they say something else."""
    assert Settings().definition_versions == 50
