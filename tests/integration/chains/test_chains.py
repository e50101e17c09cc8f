"""Chains at work: each end starts once what follows, and says what it has started."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import pytest

from flowengine.broker.streams.wire import decode, post
from flowengine.engine.commands.rerun import RerunAsked
from flowengine.engine.definitions.refusals import WorkflowInvalidError
from flowengine.errors import TooManyExecutionsError
from flowengine.execution.chains.records import Followed
from flowengine.execution.chains.rules import MAX_FOLLOWERS, MAX_LINKS, SENT_AGAIN_MS
from flowengine.execution.rules.steering.overruling import Skip
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.execution.views.executions import TriggerView
from flowengine.jsonvalue import JsonValue
from flowengine.queues import GROUP, ORCHESTRATOR_QUEUE
from flowengine.store import keys
from flowengine.store.definitions.redis_definitions import RedisDefinitionUnit
from flowengine.workflow.chains.circles import Lead
from tests.integration.chains.chain_rig import NODES, ChainRig
from tests.support.checks.invariants import check_everything
from tests.support.rigs.harness import plan_of
from tests.support.servers.valkey import Valkey

AFTER: JsonValue = {"workflow": "extract"}
FAILS: JsonValue = [{"id": "a", "handler": "sum", "config": {"inputs": ["{{ inputs.gone }}"]}}]


@pytest.fixture
def rig(valkey: Valkey) -> Iterator[ChainRig]:
    """A stack."""
    made = ChainRig(valkey.url)
    yield made
    made.harness.drain()
    check_everything(made.harness.client)
    assert made.harness.client.execute_command("ZCARD", "fe:timers:followers") == 0
    made.harness.close()


@pytest.mark.proves("chain-once")
def test_the_end_of_an_execution_starts_what_follows(rig: ChainRig) -> None:
    """With what it gives, and each names the other."""
    rig.apply("extract", outputs={"path": "/data/{{ execution.correlation_id }}"})
    inputs: JsonValue = {
        "source": "{{ trigger.outputs.path }}",
        "of": "{{ trigger.workflow }} {{ trigger.status }}",
    }
    rig.apply("load", {"workflow": "extract", "inputs": inputs})
    first = rig.run("extract")
    (found,) = rig.followers(first)
    assert found.name == "load"
    assert found.execution_id is not None
    shown = rig.view(found.execution_id)
    assert (shown.status, shown.version, shown.correlation_id) == ("completed", 1, "test")
    assert shown.inputs == {
        "source": msgspec.Raw(b'"/data/test"'),
        "of": msgspec.Raw(b'"extract completed"'),
    }
    assert shown.trigger == TriggerView(
        kind="after",
        execution_id=first,
        workflow="extract",
        status="completed",
        outputs={"path": msgspec.Raw(b'"/data/test"')},
    )


@pytest.mark.proves("chain-once")
def test_an_end_that_is_told_twice_starts_it_once(rig: ChainRig) -> None:
    """The message that comes again finds it started."""
    rig.apply("extract")
    rig.apply("load", AFTER)
    _, told = rig.end("extract")
    post(rig.harness.client, ORCHESTRATOR_QUEUE, decode(told.actor, told.payload))
    rig.harness.drain()
    assert len(rig.of("load")) == 1


@pytest.mark.proves("chain-once")
def test_of_two_orchestrators_that_have_the_same_end_one_starts_it(rig: ChainRig) -> None:
    """The other is refused, looks again, and finds it started."""
    first, second = rig.harness.orchestrators[0], rig.harness.second_orchestrator()
    rig.apply("extract")
    rig.apply("load", AFTER)
    _, told = rig.end("extract")
    first.state.between = lambda: rig.harness.deliver(second, told)
    rig.harness.deliver(first, told)
    rig.harness.drain()
    assert len(rig.of("load")) == 1


@pytest.mark.proves("chain-again")
def test_a_rerun_starts_again_only_what_no_end_has_started(rig: ChainRig) -> None:
    """Each follower once for an execution: at the first of its ends that fits."""
    rig.apply("extract", nodes=FAILS)
    rig.apply("load", AFTER)
    rig.apply("tell", {"workflow": "extract", "status": ["failed", "cancelled"]})
    first = rig.run("extract")
    assert (rig.view(first).status, len(rig.of("load")), len(rig.of("tell"))) == ("failed", 0, 1)
    rig.harness.api.executions.trigger(first, correlation_id="test")
    rig.harness.drain()
    assert (rig.view(first).run, len(rig.of("tell"))) == (2, 1)
    rig.harness.overrule(first, "a", Skip())
    rig.harness.drain()
    assert (rig.view(first).status, len(rig.of("load")), len(rig.of("tell"))) == ("completed", 1, 1)
    rig.harness.api.executions.rerun(first, RerunAsked(Wanted("all")))
    rig.harness.drain()
    assert (len(rig.of("load")), len(rig.of("tell"))) == (1, 1)


@pytest.mark.proves("chain-overtaken")
def test_an_end_that_a_rerun_has_overtaken_starts_nothing(rig: ChainRig) -> None:
    """The end of the next run does."""
    rig.apply("extract")
    rig.apply("load", AFTER)
    first, told = rig.end("extract")
    rig.harness.api.executions.rerun(first, RerunAsked(Wanted("all")))
    rig.harness.deliver(rig.harness.orchestrators[0], told)
    assert rig.of("load") == []
    rig.harness.drain()
    assert len(rig.of("load")) == 1


@pytest.mark.proves("chain-overtaken")
def test_a_rerun_while_somebody_looks_at_the_end_lets_nothing_start(rig: ChainRig) -> None:
    """Between the reads and the writes: what has begun again is looked at once more, and has not ended."""
    orchestrator = rig.harness.orchestrators[0]
    rig.apply("extract")
    rig.apply("load", AFTER)
    first, told = rig.end("extract")
    everything = RerunAsked(Wanted("all"))
    orchestrator.state.between = lambda: rig.harness.api.executions.rerun(first, everything)
    rig.harness.deliver(orchestrator, told)
    assert not orchestrator.state.hooked
    assert rig.of("load") == []
    rig.harness.drain()
    assert len(rig.of("load")) == 1


@pytest.mark.proves("chain-overtaken")
def test_an_execution_that_was_deleted_starts_nothing_any_more(rig: ChainRig) -> None:
    """Neither by its message nor by its timer."""
    rig.apply("extract")
    rig.apply("load", AFTER)
    first, _ = rig.end("extract")
    rig.harness.delete(first)
    rig.harness.drain()
    assert rig.of("load") == []


def test_what_a_posted_document_ends_is_followed_by_nothing(rig: ChainRig) -> None:
    """It has the name of a definition, and is none of its executions."""
    rig.apply("load", AFTER)
    rig.harness.begin(plan_of({"a": ()}, name="extract"))
    rig.harness.drain()
    assert rig.of("load") == []


def test_a_cancel_before_the_turn_has_come_is_an_end_too(rig: ChainRig) -> None:
    """No node of it ever ran."""
    rig.apply("extract", concurrency={"key": "k", "limit": 1})
    rig.apply("tell", {"workflow": "extract", "status": ["cancelled"]})
    rig.start("extract")
    waiting = rig.start("extract")
    rig.harness.cancel(waiting)
    rig.harness.drain()
    assert [one.followed for one in rig.of("tell")] == [Followed(waiting, "extract", "cancelled")]


@pytest.mark.proves("chain-refused")
def test_inputs_that_do_not_fit_are_told_at_the_execution_that_has_ended(rig: ChainRig) -> None:
    """Nothing starts, and what else follows does."""
    rig.apply("extract", outputs={"count": "{{ 1 + 1 }}"})
    given: JsonValue = {"source": "{{ trigger.outputs.path }}"}
    rig.apply("load", {"workflow": "extract", "inputs": given}, inputs={"source": {"type": "string"}})
    rig.apply("other", AFTER)
    first = rig.run("extract")
    wrong, right = rig.followers(first)
    assert (wrong.name, wrong.execution_id, wrong.code) == ("load", None, "inputs_invalid")
    assert "/inputs/source" in (wrong.message or "")
    assert right.execution_id is not None
    assert rig.of("load") == []


@pytest.mark.proves("chain-refused")
def test_a_limit_that_refuses_is_told_there_too(rig: ChainRig) -> None:
    """The workflow does not wait for its turn."""
    limit: JsonValue = {"key": "k", "limit": 1, "on_limit": "reject"}
    rig.apply("extract")
    rig.apply(
        "load", AFTER, concurrency=limit, nodes=[{"id": "w", "handler": "wait", "config": {"seconds": 60}}]
    )
    rig.start("load")
    first, told = rig.end("extract")
    rig.harness.deliver(rig.harness.orchestrators[0], told)
    (found,) = rig.followers(first)
    assert (found.execution_id, found.code) == (None, "concurrency_limit")


@pytest.mark.proves("chain-full")
def test_what_may_not_come_in_now_is_started_later(rig: ChainRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its timer comes after five seconds, and nothing is told of it."""
    rig.apply("extract")
    rig.apply("load", AFTER)
    first, told = rig.end("extract")
    orchestrator = rig.harness.orchestrators[0]

    def full(size: int) -> None:
        raise TooManyExecutionsError("full", retry_after_s=1)

    with monkeypatch.context() as patched:
        patched.setattr(orchestrator.chains._executions, "letting_in", full)
        assert rig.harness.deliver(orchestrator, told)
    assert (rig.ends(), rig.followers(first)) == ([], ())
    rig.fire(first)
    rig.harness.drain()
    assert len(rig.of("load")) == 1


@pytest.mark.proves("chain-lost")
def test_an_end_whose_message_is_lost_is_told_again_by_its_timer(rig: ChainRig) -> None:
    """The transaction of the end has armed it."""
    rig.apply("extract")
    rig.apply("load", AFTER)
    first, told = rig.end("extract")
    rig.harness.client.xack(rig.harness.stream(told.queue), GROUP, told.id)
    rig.harness.client.xdel(rig.harness.stream(told.queue), told.id)
    (record,) = rig.of("extract")
    due = rig.harness.client.execute_command("ZSCORE", "fe:timers:followers", f"{first}|1")
    assert float(due) == record.finished_at + SENT_AGAIN_MS
    rig.fire(first)
    rig.harness.drain()
    assert len(rig.of("load")) == 1


@pytest.mark.proves("chain-versions")
def test_the_version_in_force_when_the_end_is_looked_at_starts(rig: ChainRig) -> None:
    """With what that version gives; one that follows no more, or was deleted, starts nothing."""
    rig.apply("extract")
    rig.apply("load", AFTER)
    rig.apply("gone", AFTER)
    rig.apply("changed", AFTER)
    _, told = rig.end("extract")
    rig.apply("load", {"workflow": "extract", "inputs": {"v": 2}})
    rig.apply("changed")
    rig.harness.api.executions.definitions.delete("gone")
    rig.harness.deliver(rig.harness.orchestrators[0], told)
    rig.harness.drain()
    assert [(one.version, one.links) for one in rig.of("load")] == [(2, 1)]
    assert (rig.of("gone"), rig.of("changed")) == ([], [])
    members = rig.harness.client.execute_command("ZRANGE", "fe:links", 0, -1)
    assert members == [keys.link_entry("extract", "load", by_end=True).encode()]


@pytest.mark.proves("chain-child")
def test_an_execution_that_a_node_runs_is_followed_too(rig: ChainRig) -> None:
    """It is one of an applied definition."""
    rig.apply("extract")
    rig.apply("load", AFTER)
    runs: JsonValue = [{"id": "c", "handler": "workflow", "config": {"name": "extract"}}]
    rig.apply("daily", nodes=runs)
    rig.run("daily")
    (found,) = rig.of("load")
    assert found.followed is not None
    assert (found.followed.workflow, found.links) == ("extract", 1)


@pytest.mark.proves("chain-depth")
def test_so_many_ends_start_one_another_and_no_more(rig: ChainRig) -> None:
    """What no apply could see ends there: a node that names a definition by a template, say."""
    rig.apply("extract")
    rig.apply("load", AFTER)
    first, told = rig.end("extract")
    rig.harness.client.hset(f"fe:x:{first}:control", "links", MAX_LINKS)
    rig.harness.deliver(rig.harness.orchestrators[0], told)
    (found,) = rig.followers(first)
    assert (found.execution_id, found.code) == (None, "chain_too_long")


@pytest.mark.proves("chain-depth")
def test_a_circle_that_no_apply_could_see_ends_after_so_many_links(rig: ChainRig) -> None:
    """Each `loop` follows an end of `extract`, and runs that again in a node that names it by a template."""
    runs: JsonValue = [{"id": "n", "handler": "workflow", "config": {"name": "{{ inputs.name }}"}}]
    after: JsonValue = {"workflow": "extract", "inputs": {"name": "{{ trigger.workflow }}"}}
    rig.apply("extract")
    rig.apply("loop", after, inputs={"name": {"type": "string"}}, nodes=runs)
    rig.run("extract")
    assert sorted(one.links for one in rig.of("loop")) == list(range(1, MAX_LINKS + 1))
    assert {one.status for one in rig.of("loop")} == {"completed"}
    codes = [follower.code for one in rig.of("extract") for follower in one.followers]
    assert Counter(codes) == {None: MAX_LINKS, "chain_too_long": 1}


@pytest.mark.proves("chain-circle")
def test_an_apply_that_would_close_a_circle_is_refused_with_the_way_round(rig: ChainRig) -> None:
    """Through ends and through nodes; what is applied stays as it was."""
    rig.apply("b", {"workflow": "a"})
    rig.apply("c", nodes=[{"id": "n", "handler": "workflow", "config": {"name": "d"}}])
    rig.apply("c", {"workflow": "b"}, nodes=[{"id": "n", "handler": "workflow", "config": {"name": "d"}}])
    with pytest.raises(WorkflowInvalidError) as caught:
        rig.apply("a", {"workflow": "x"}, {"workflow": "d"})
    (problem,) = caught.value.problems
    assert (problem.code, problem.pointer) == ("chain_cycle", "/after/1/workflow")
    assert problem.message.endswith("'a' -> 'b' -> 'c' -> 'd' -> 'a'")
    rig.apply("a", {"workflow": "x"})
    with pytest.raises(WorkflowInvalidError) as caught:
        rig.apply("d", nodes=[{"id": "n", "handler": "workflow", "config": {"name": "x"}}])
    (problem,) = caught.value.problems
    assert (problem.code, problem.pointer) == ("chain_cycle", "")
    assert problem.message.endswith("'d' -> 'x' -> 'a' -> 'b' -> 'c' -> 'd'")


@pytest.mark.proves("chain-circle")
def test_a_workflow_that_runs_itself_is_no_circle_of_ends(rig: ChainRig) -> None:
    """A condition may end it; a new version that follows others is looked at without its old one."""
    own: JsonValue = {"id": "n", "handler": "workflow", "config": {"name": "a"}}
    rig.apply("a", {"workflow": "b"}, nodes=[own])
    rig.apply("a", nodes=[own])
    rig.apply("b", {"workflow": "a"})


@pytest.mark.proves("chain-circle")
def test_two_applies_at_once_that_would_close_a_circle_together_do_not(
    rig: ChainRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ties definitions is WATCHed: the one that has read it before the other wrote looks again."""
    read = RedisDefinitionUnit.leads
    told: list[dict[str, list[Lead]]] = []

    def leads(unit: RedisDefinitionUnit, names: Sequence[str]) -> dict[str, list[Lead]]:
        found = read(unit, names)
        if list(names) == ["a"] and not told:
            told.append(found)
            other = threading.Thread(target=rig.apply, args=("b", {"workflow": "a"}))
            other.start()
            other.join()
        return found

    monkeypatch.setattr(RedisDefinitionUnit, "leads", leads)
    with pytest.raises(WorkflowInvalidError):
        rig.apply("a", {"workflow": "b"})
    assert told == [{"a": []}]


@pytest.mark.proves("chain-circle")
def test_so_many_definitions_follow_one_and_no_more(rig: ChainRig) -> None:
    """One of them may be applied again."""
    for number in range(MAX_FOLLOWERS):
        rig.apply(f"f{number}", AFTER)
    rig.apply("f0", AFTER, {"workflow": "other"})
    with pytest.raises(WorkflowInvalidError) as caught:
        rig.apply("late", AFTER)
    assert caught.value.problems[0].code == "too_many_followers"


def test_what_follows_is_for_the_definitions_that_the_first_one_was_for(
    rig: ChainRig,
) -> None:
    """A key for some definitions reaches no others by what it gives."""
    rig.apply("extract")
    rig.apply("load", AFTER)
    first, told = rig.end("extract")
    rig.harness.client.hset(f"fe:x:{first}:control", "allowed", b'["extract*"]')
    rig.harness.deliver(rig.harness.orchestrators[0], told)
    assert [one.allowed for one in rig.of("load")] == [("extract*",)]


def test_what_follows_a_child_is_for_the_definitions_that_its_root_was_for(rig: ChainRig) -> None:
    """A child does not say it by itself."""
    rig.apply("extract")
    rig.apply("load", AFTER)
    runs: JsonValue = [{"id": "c", "handler": "workflow", "config": {"name": "extract"}}]
    rig.apply("daily", nodes=runs)
    root = rig.start("daily")
    rig.harness.client.hset(f"fe:x:{root}:control", "allowed", b'["daily", "extract"]')
    rig.harness.drain()
    assert [one.allowed for one in rig.of("load")] == [("daily", "extract")]


@pytest.mark.proves("chain-fork")
def test_a_new_execution_that_cannot_be_made_is_an_end(rig: ChainRig) -> None:
    """It has failed: the one that it was to copy of is gone."""
    b: JsonValue = {
        "id": "b",
        "handler": "sum",
        "config": {"inputs": ["{{ a.result }}"]},
        "dependencies": ["a"],
    }
    assert isinstance(NODES, list)
    rig.apply("extract", nodes=[*NODES, b])
    rig.apply("tell", {"workflow": "extract", "status": ["failed"]})
    first = rig.run("extract")
    made = rig.harness.api.executions.fork(first, RerunAsked(Wanted("from", start_from=("b",))))
    rig.harness.delete(first)
    rig.harness.drain()
    assert rig.view(made.execution_id).status == "failed"
    assert [one.name for one in rig.followers(made.execution_id)] == ["tell"]
    assert len(rig.of("tell")) == 1


@pytest.mark.proves("chain-versions")
def test_an_apply_of_the_same_document_writes_links_that_are_missing(rig: ChainRig) -> None:
    """A version that knew of no chains has applied it."""
    rig.apply("extract")
    rig.apply("load", AFTER)
    client = rig.harness.client
    client.execute_command("HDEL", "fe:definition:load", "links")
    client.execute_command("ZREM", "fe:links", keys.link_entry("extract", "load", by_end=True))
    rig.run("extract")
    assert rig.of("load") == []
    rig.versions -= 1
    assert not rig.apply("load", AFTER).is_new
    rig.run("extract")
    assert len(rig.of("load")) == 1
