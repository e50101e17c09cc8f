"""Nodes that an operator ends: what becomes of the node, of its worker, and of what depends on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.errors import NodeNotFoundError, ResultInvalidError, WrongStateError
from flowengine.execution.history.places import START
from flowengine.execution.messages import NodeOverruled, RunNode
from flowengine.execution.rules.dispatching import SIZES
from flowengine.execution.rules.steering.overruling import STATUS_OF, Complete, Fail, Overruling, Skip, Word
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.plugin import Context, HandlerError
from flowengine.store.worker_state import RedisWorkerState
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import ExecutionPolicy, Policy, Retry
from flowengine.workflow.stages import OUTPUTS_NODE, Stages
from tests.support.checks.invariants import check
from tests.support.checks.reference_model import Says
from tests.support.rigs.harness import ApiProcess, Entry, Harness, failing_in, plan_of

CHAIN = {"a": (), "b": ("a",), "c": ("b",)}
DIAMOND = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}
GIVEN = Complete(msgspec.Raw(b'{"result":40}'))
GONE = Fail("gone", "the service is gone")
WORDS: tuple[Word, ...] = (Skip(), GIVEN, GONE)


def status_of(harness: Harness, execution: str) -> str:
    """The execution's status; all that is stored of it is right."""
    check(harness.client, execution, settled=False)
    return harness.api.executions.status(execution).status


def work(harness: Harness, *nodes: str) -> None:
    """Let these nodes run, and apply what they report."""
    harness.run_tasks(*nodes)
    assert harness.deliver(harness.orchestrators[0], *harness.callbacks())


def orders(harness: Harness, actor: str) -> list[Entry]:
    """The orchestrator's messages of one kind that wait."""
    return [entry for entry in harness.waiting("orchestrator") if entry.actor == actor]


@contextmanager
def another_api(harness: Harness) -> Iterator[ApiProcess]:
    """One more process of the API."""
    api = ApiProcess("api-2", harness)
    try:
        yield api
    finally:
        api.close()


def retrying(graph: dict[str, tuple[str, ...]]) -> Plan:
    """A plan whose first node is tried again in an hour."""
    return msgspec.structs.replace(
        plan_of(graph), policies={0: Policy(retry=Retry(delay_ms=3_600_000, max_delay_ms=3_600_000))}
    )


def waiting_node(harness: Harness) -> str:
    """An execution whose first node waits for another try."""
    execution = harness.begin(retrying(dict(CHAIN)))
    harness.start_executions()
    harness.script = failing_in(1, "a")
    work(harness, "a")
    harness.script = lambda context: None
    (shown, *_) = harness.api.executions.status(execution).nodes
    assert (shown.status, shown.finished_at) == ("waiting", None)
    return execution


@pytest.mark.proves("overrule-waiting")
def test_a_node_that_waits_for_another_try_completes_by_an_operator(harness: Harness) -> None:
    """Its timer goes, and what depends on it runs with the result that was given."""
    execution = waiting_node(harness)
    assert harness.overrule(execution, "a", GIVEN) == "completed"
    assert not harness.client.exists(harness.keys.timers("retry"))
    harness.drain()
    assert status_of(harness, execution) == "completed"
    assert harness.results(execution) == {"a": 40, "b": 41, "c": 42}


@pytest.mark.parametrize(
    ("word", "below"),
    [(Skip(), "skipped"), (GIVEN, "completed"), (GONE, "failed")],
    ids=["skip", "give", "fail"],
)
@pytest.mark.parametrize("state", ["pending", "queued", "waiting"])
def test_what_follows_is_as_if_the_node_had_ended_so(
    harness: Harness, word: Word, below: str, state: str
) -> None:
    """In whichever status it was, in a workflow without rules."""
    if state == "waiting":
        execution = waiting_node(harness)
    else:
        execution = harness.begin(plan_of(CHAIN))
        if state == "queued":
            harness.start_executions()
    harness.overrule(execution, "a", word)
    harness.drain()
    assert set(harness.statuses(execution).values()) == {below}
    assert status_of(harness, execution) == ("failed" if below == "failed" else "completed")


def test_a_failure_by_an_operator_takes_what_depends_on_it_with_it(harness: Harness) -> None:
    """In one transaction: it does not wait for the message."""
    execution = harness.begin(plan_of(DIAMOND))
    harness.start_executions()
    harness.overrule(execution, "a", GONE)
    assert set(harness.statuses(execution).values()) == {"failed"}
    errors = {node.id: node.error for node in harness.api.executions.status(execution).nodes}
    assert errors["a"] is not None
    assert (errors["a"].code, errors["a"].message) == ("gone", "the service is gone")
    assert errors["d"] is not None
    assert errors["d"].caused_by == "a"
    harness.drain()
    assert status_of(harness, execution) == "failed"


def test_a_failure_by_an_operator_is_tolerated_where_its_own_would_be(harness: Harness) -> None:
    """And is not tried again, whatever the node's `retry` says."""
    says = {"a": Says(tolerates=True, tries=3)}
    execution = harness.begin(plan_of(CHAIN, says=says))
    harness.start_executions()
    harness.overrule(execution, "a", GONE)
    harness.drain()
    assert harness.statuses(execution) == {"a": "failed", "b": "completed", "c": "completed"}
    assert status_of(harness, execution) == "completed"


def test_a_join_behind_a_node_that_an_operator_skips_is_skipped(harness: Harness) -> None:
    """Though its workflow has no rules by which anything is skipped: its counter tells."""
    execution = harness.begin(plan_of(DIAMOND))
    harness.start_executions()
    work(harness, "a")
    harness.overrule(execution, "b", Skip())
    harness.drain()
    assert harness.statuses(execution) == {"a": "completed", "b": "skipped", "c": "completed", "d": "skipped"}
    assert status_of(harness, execution) == "completed"


# -- workers


@pytest.mark.proves("overrule-running")
@pytest.mark.parametrize("fails", [True, False])
@pytest.mark.parametrize("word", WORDS)
def test_a_handler_whose_node_an_operator_ends_is_told_and_comes_too_late(
    harness: Harness, word: Word, fails: bool
) -> None:
    """It is asked to stop as at a cancel. Whatever it reports is stale, and counted so; its neighbour is left
    alone."""
    execution = harness.begin(plan_of({"a": (), "b": ("a",), "beside": ()}))
    harness.start_executions()
    runner, store = harness.workers[0].runner, RedisWorkerState(harness.workers[0].state)
    tasks = [msgspec.json.decode(harness.task_of(node).payload, type=RunNode) for node in ("a", "beside")]
    unwanted: list[RunNode] = []

    def meanwhile(context: Context) -> None:
        told = context.node_id == "a"
        if told:
            harness.overrule(execution, "a", word)
            unwanted.extend(store.unwanted(tasks))
        runner.stops.deliver(list(runner.running.values()))
        assert context.cancelled() == told
        if told and fails:
            raise HandlerError("boom", "failed on purpose")

    harness.script = meanwhile
    harness.run_tasks("a")
    harness.run_tasks("beside")
    harness.script = lambda context: None
    said = harness.statuses(execution)["a"]
    harness.drain()
    assert unwanted == tasks[:1]
    assert harness.statuses(execution)["a"] == said == STATUS_OF[type(word)]
    assert harness.orchestrators[0].engine.stale_callbacks == 1
    assert not harness.client.exists(harness.keys.started(execution), harness.keys.deadlines)
    assert status_of(harness, execution) == ("failed" if word is GONE else "completed")


def test_a_task_whose_node_an_operator_has_ended_is_not_begun(harness: Harness) -> None:
    """Also if its handler is quick: then its worker has heard of it, and asks."""
    harness.be_quick()
    execution = harness.begin(plan_of({"a": (), "b": ("a",)}, reading=False))
    harness.start_executions()
    harness.overrule(execution, "a", GIVEN)
    harness.workers[0].runner.stops.deliver([])
    harness.run_tasks("a")
    assert not harness.workers[0].invoker.calls
    harness.drain()
    assert status_of(harness, execution) == "completed"


@pytest.mark.proves("overrule-late")
def test_a_worker_that_comes_back_after_a_trigger_overwrites_nothing(harness: Harness) -> None:
    """It was frozen while its node was failed by an operator, and the execution was triggered again."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    task = harness.task_of("a")

    def meanwhile(context: Context) -> None:
        harness.script = lambda context: None
        harness.overrule(execution, "a", GONE)
        for entry in harness.waiting("orchestrator"):
            harness.deliver(harness.orchestrators[0], entry)
        harness.trigger(execution)
        harness.start_executions()

    harness.script = meanwhile
    assert harness.deliver(harness.workers[0], task)
    assert harness.deliver(harness.orchestrators[0], harness.callback_of("a"))
    assert harness.statuses(execution)["a"] == "queued"
    assert harness.orchestrators[0].engine.stale_callbacks == 1
    harness.drain()
    assert status_of(harness, execution) == "completed"


# -- what depends on something that has not ended


@pytest.mark.proves("overrule-ahead")
@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("first", ["completed", "failed", "overruled"])
def test_what_is_below_a_node_that_was_ended_ahead_waits_for_what_is_above(
    harness: Harness, word: Word, first: str
) -> None:
    """A cleanup must not begin while something above it may still write, and reads what that has given."""
    says = {"c": Says(rule="all_done"), "tidy": Says(rule="all_done")}
    graph = {"a": (), "b": ("a",), "c": ("b",), "x": (), "join": ("a", "x"), "tidy": ("join",)}
    execution = harness.begin(plan_of(graph, says=says))
    harness.start_executions()
    harness.overrule(execution, "b", word)
    harness.overrule(execution, "join", word)
    for entry in orders(harness, "node_overruled"):
        assert harness.deliver(harness.orchestrators[0], entry)
    work(harness, "x")
    assert (harness.statuses(execution)["c"], harness.statuses(execution)["tidy"]) == ("pending", "pending")
    check(harness.client, execution, settled=False)
    if first == "overruled":
        harness.overrule(execution, "a", Skip())
    else:
        harness.script = failing_in(1, *("a" if first == "failed" else ""))
        work(harness, "a")
    harness.script = lambda context: None
    harness.drain()
    ended = harness.statuses(execution)
    assert (ended["c"], ended["tidy"]) == ("completed", "completed")
    status_of(harness, execution)


@pytest.mark.parametrize("word", WORDS)
def test_without_rules_too_what_was_ended_ahead_counts_when_all_above_has_ended(
    harness: Harness, word: Word
) -> None:
    """A chain, and a join, whose only dependency completes afterwards."""
    graph = {"a": (), "b": ("a",), "c": ("b",), "x": (), "join": ("a", "x"), "last": ("join", "x")}
    execution = harness.begin(plan_of(graph))
    harness.start_executions()
    harness.overrule(execution, "b", word)
    harness.overrule(execution, "join", word)
    assert "queued" not in (harness.statuses(execution)["c"], harness.statuses(execution)["last"])
    harness.drain()
    below = dict.fromkeys(graph, STATUS_OF[type(word)])
    assert harness.statuses(execution) == {**below, "a": "completed", "x": "completed"}
    status_of(harness, execution)


def test_what_was_ended_ahead_is_found_by_a_callback_that_comes_again(harness: Harness) -> None:
    """The orchestrator died after it had applied the completion above, and before what follows."""
    execution = harness.begin(plan_of({"a": (), "x": (), "b": ("a", "x"), "c": ("b",)}))
    harness.start_executions()
    harness.overrule(execution, "b", GIVEN)
    work(harness, "x")
    harness.run_tasks("a")
    first = harness.orchestrators[0]
    first.state.skipped, first.state.between = 1, lambda: setattr(first.line, "dead", True)
    assert not harness.deliver(first, *harness.callbacks())
    assert harness.statuses(execution)["c"] == "pending"
    harness.drain()
    assert harness.results(execution)["c"] == 41
    assert status_of(harness, execution) == "completed"


# -- beside something else

Beside = Callable[[Harness, str], object]


def _completes(harness: Harness, execution: str) -> None:
    work(harness, "a")


def _pauses(harness: Harness, execution: str) -> None:
    harness.api.executions.pause(execution)


def _resumes(harness: Harness, execution: str) -> None:
    harness.api.executions.pause(execution)
    harness.api.executions.resume(execution)


def _skips(harness: Harness, execution: str) -> None:
    harness.overrule(execution, "a", Skip())


@pytest.mark.proves("overrule-at-once")
@pytest.mark.parametrize(
    ("beside", "status", "refused"),
    [
        (_completes, "completed", True),
        (_skips, "skipped", True),
        (_pauses, "failed", False),
        (_resumes, "failed", False),
        (lambda harness, execution: harness.cancel(execution), "cancelled", True),
    ],
    ids=["completion", "operator", "pause", "resume", "cancel"],
)
def test_something_between_the_reads_and_the_writes_of_an_operators_word(
    harness: Harness, beside: Beside, status: str, refused: bool
) -> None:
    """One of the two comes first, and the other one goes by it."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    said = Overruling(GONE)
    with another_api(harness) as api:
        api.state.between = lambda: beside(harness, execution)
        if refused:
            with pytest.raises(WrongStateError):
                api.executions.overrule(execution, "a", said)
        else:
            api.executions.overrule(execution, "a", said)
    if harness.api.executions.status(execution).status == "paused":
        harness.api.executions.resume(execution)
    harness.drain()
    assert harness.statuses(execution)["a"] == status
    status_of(harness, execution)


@pytest.mark.proves("overrule-at-once")
def test_an_operators_word_between_the_reads_and_the_writes_of_a_completion(harness: Harness) -> None:
    """The operator was first: the completion is stale, and what followed from it is not done."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    harness.run_tasks("a")
    first = harness.orchestrators[0]
    first.state.between = lambda: harness.overrule(execution, "a", Skip())
    assert harness.deliver(first, *harness.callbacks())
    assert harness.statuses(execution)["a"] == "skipped"
    harness.drain()
    assert set(harness.statuses(execution).values()) == {"skipped"}
    assert status_of(harness, execution) == "completed"


@pytest.mark.parametrize("operator_first", [True, False])
def test_an_operators_word_beside_the_end_of_a_pause(harness: Harness, operator_first: bool) -> None:
    """Either the try begins and is ended, or it never begins; the timer is dealt with."""
    execution = waiting_node(harness)
    assert harness.end_pauses() == 1
    (timer,) = orders(harness, "timer_fired")
    first = harness.orchestrators[0]
    if operator_first:
        first.state.between = lambda: harness.overrule(execution, "a", GIVEN)
        assert harness.deliver(first, timer)
        assert not harness.tasks()
    else:
        harness.api.state.between = lambda: harness.deliver(first, timer)
        harness.overrule(execution, "a", GIVEN)
        assert len(harness.tasks()) == 1
    harness.drain()
    assert harness.results(execution) == {"a": 40, "b": 41, "c": 42}
    status_of(harness, execution)


@pytest.mark.parametrize("operator_first", [True, False])
def test_an_operators_word_beside_a_deadline(harness: Harness, operator_first: bool) -> None:
    """The handler hangs: what the operator says counts, at once or in another run."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    task = harness.task_of("a")

    def hang(context: Context) -> None:
        harness.workers[0].line.dead = True

    harness.script = hang
    assert not harness.deliver(harness.workers[0], task)
    harness.still_holding(task)
    harness.script = lambda context: None
    harness.make_overdue(execution, "a", 1)
    harness.fire_timers()
    (timer,) = orders(harness, "timer_fired")
    if operator_first:
        harness.orchestrators[0].state.between = lambda: harness.overrule(execution, "a", GIVEN)
        assert harness.deliver(harness.orchestrators[0], timer)
    else:
        harness.api.state.between = lambda: harness.deliver(harness.orchestrators[0], timer)
        harness.overrule(execution, "a", GIVEN)
    harness.drain()
    assert harness.statuses(execution)["a"] == "completed"
    assert harness.api.executions.status(execution).run == (1 if operator_first else 2)
    status_of(harness, execution)


# -- executions that are paused, stopped, not begun or over


def test_in_a_paused_execution_what_follows_waits_for_the_resume(harness: Harness) -> None:
    """What needs no task is decided; one with nothing left ends."""
    execution = harness.begin(plan_of(CHAIN))
    harness.start_executions()
    harness.api.executions.pause(execution)
    harness.overrule(execution, "a", GIVEN)
    harness.drain()
    assert (status_of(harness, execution), harness.statuses(execution)["b"]) == ("paused", "pending")
    harness.overrule(execution, "b", Skip())
    harness.drain()
    assert status_of(harness, execution) == "completed"
    assert harness.statuses(execution) == {"a": "completed", "b": "skipped", "c": "skipped"}


@pytest.mark.proves("overrule-before-start")
@pytest.mark.parametrize("node", ["a", "b", "z"])
@pytest.mark.parametrize("paused", [True, False])
def test_a_node_is_ended_before_anything_has_begun(harness: Harness, node: str, paused: bool) -> None:
    """The start message is still to come, or came in vain; the events tell of the start once."""
    execution = harness.begin(plan_of({"a": (), "z": (), "b": ("a",)}))
    if paused:
        harness.api.executions.pause(execution)
        harness.start_executions()
    harness.overrule(execution, node, Skip())
    if paused:
        harness.api.executions.resume(execution)
    harness.drain()
    assert harness.statuses(execution)[node] == "skipped"
    assert status_of(harness, execution) == "completed"


@pytest.mark.proves("overrule-before-start")
@pytest.mark.parametrize("node", ["a", "b", "z"])
def test_a_node_is_ended_while_the_start_is_dealt_with(harness: Harness, node: str) -> None:
    """Between the reads and the writes of the first dispatch."""
    execution = harness.begin(plan_of({"a": (), "z": (), "b": ("a",)}))
    harness.orchestrators[0].state.between = lambda: harness.overrule(execution, node, Skip())
    harness.drain()
    assert harness.statuses(execution)[node] == "skipped"
    assert status_of(harness, execution) == "completed"


@pytest.mark.parametrize("state", ["not triggered", "being stopped", "completed already"])
def test_what_cannot_be_ended_is_refused(harness: Harness, state: str) -> None:
    """With a sentence that says why."""
    execution = harness.create(plan_of(CHAIN))
    if state != "not triggered":
        harness.trigger(execution)
        harness.start_executions()
    if state == "being stopped":
        harness.cancel(execution)
    if state == "completed already":
        work(harness, "a")
    with pytest.raises(WrongStateError, match=state.replace("not triggered", "not been triggered")):
        harness.overrule(execution, "a", GIVEN)


def test_a_word_for_another_run_or_attempt_is_refused(harness: Harness) -> None:
    """What is meant may have ended meanwhile, and something else run in its place."""
    execution = waiting_node(harness)
    with pytest.raises(WrongStateError, match="in run 1, not in run 2"):
        harness.overrule(execution, "a", GIVEN, run=2)
    with pytest.raises(WrongStateError, match="at attempt 1, not at attempt 2"):
        harness.overrule(execution, "a", GIVEN, attempt=2)
    assert harness.overrule(execution, "a", GIVEN, run=1, attempt=1) == "completed"


# -- ended executions


@pytest.mark.proves("overrule-ended")
@pytest.mark.parametrize("word", WORDS, ids=lambda word: str(type(word).__name__))
def test_a_node_of_an_ended_execution_is_ended_in_another_run(harness: Harness, word: Word) -> None:
    """What is below it begins again with that; what is above stays, and the events tell who and why."""
    harness.script = failing_in(1, "b")
    execution = harness.begin(plan_of({**CHAIN, "beside": ()}))
    harness.drain()
    view = harness.api.executions.overrule(execution, "b", Overruling(word, "by hand", run=1, attempt=1))
    assert (view.status, view.run, view.attempt) == (STATUS_OF[type(word)], 2, 1)
    assert status_of(harness, execution) == "running"
    harness.drain()
    ends = {Skip: "skipped", Complete: "completed", Fail: "failed"}
    end = ends[type(word)]
    assert harness.statuses(execution) == {"a": "completed", "b": end, "c": end, "beside": "completed"}
    assert status_of(harness, execution) == ("failed" if end == "failed" else "completed")
    if end == "completed":
        assert harness.results(execution)["c"] == 41
    node = harness.api.executions.node(execution, "b")
    assert [attempt.error is not None for attempt in node.attempts][:1] == [True]
    told = harness.api.executions.events(execution, after=START, limit=100).items
    kinds: list[str] = [event.kind for event in told]
    again = kinds[kinds.index("execution_rerun") :]
    assert again.index("node_overruled") < again.index(f"node_{end}")


@pytest.mark.proves("overrule-ended")
def test_a_node_that_a_cancel_has_ended_is_ended_ahead_in_another_run(harness: Harness) -> None:
    """What was cancelled above it begins again; what depends on both waits for that."""
    execution = harness.begin(plan_of(DIAMOND))
    harness.start_executions()
    harness.cancel(execution)
    harness.drain()
    harness.overrule(execution, "b", GIVEN)
    assert harness.statuses(execution) == {"a": "pending", "b": "completed", "c": "pending", "d": "pending"}
    harness.drain()
    assert set(harness.statuses(execution).values()) == {"completed"}
    assert status_of(harness, execution) == "completed"


@pytest.mark.parametrize("word", [Complete(msgspec.Raw(b'{"day":1}')), GONE])
def test_an_end_and_a_failure_that_stops_do_so_in_another_run(harness: Harness, word: Word) -> None:
    """The mark is set as that run begins."""
    stops = ExecutionPolicy(stops_on_failure=True)
    graph = {"a": (), "b": ("a",), "c": ("b",), "other": ()}
    execution = harness.begin(plan_of(graph, ends={"b"}, overall=stops))
    harness.start_executions()
    harness.cancel(execution)
    harness.drain()
    harness.overrule(execution, "b", word)
    harness.drain()
    failed = word is GONE
    left = "cancelled" if failed else "skipped"
    b = "failed" if failed else "completed"
    assert harness.statuses(execution) == {"a": left, "b": b, "c": left, "other": left}
    assert status_of(harness, execution) == ("failed" if failed else "completed")


def test_a_run_that_begins_with_its_last_end_ends_though_it_is_paused(harness: Harness) -> None:
    """Nothing is left to dispatch; a hook waits for the resume."""
    execution = harness.begin(plan_of({"a": ()}))
    hooked = harness.begin(plan_of({"a": (), "z": ()}, stages=Stages(finally_=1)))
    harness.drain()
    for each in (execution, hooked):
        harness.overrule(each, "a", GIVEN)
        harness.api.executions.pause(each)
    harness.drain()
    assert [status_of(harness, each) for each in (execution, hooked)] == ["completed", "paused"]
    harness.api.executions.resume(hooked)
    harness.drain()
    assert (status_of(harness, hooked), harness.statuses(hooked)["z"]) == ("completed", "completed")


def test_a_node_that_is_read_beside_is_watched_before_it_is_decided(harness: Harness) -> None:
    """A start in small steps looks at a node whose dependencies are decided in the same step."""
    harness.resize(msgspec.structs.replace(SIZES, chunk_nodes=2))
    graph = {
        "n0": (),
        "n2": ("n0", "n1"),
        "n6": ("n0", "n4"),
        "n4": ("n2", "n3", "n0", "n1"),
        "n1": ("n0",),
        "n3": ("n0", "n1", "n2"),
    }
    execution = harness.begin(plan_of(graph))
    harness.drain()
    harness.overrule(execution, "n1", GONE)
    harness.drain()
    failed = {node: "completed" if node == "n0" else "failed" for node in graph}
    assert harness.statuses(execution) == failed


def test_the_message_of_an_operators_word_counts_in_its_own_run(harness: Harness) -> None:
    """One that comes again in a later run dispatches nothing."""
    execution = waiting_node(harness)
    harness.overrule(execution, "a", GIVEN)
    (old,) = orders(harness, "node_overruled")
    harness.drain()
    harness.api.executions.rerun(execution, RerunAsked(Wanted("all")))
    assert harness.deliver(harness.orchestrators[0], old)
    assert not harness.tasks()
    harness.drain()
    assert status_of(harness, execution) == "completed"


def test_what_cannot_be_ended_in_another_run_is_refused(harness: Harness) -> None:
    """A hook, another run or attempt, a result that is too large: nothing begins."""
    execution = harness.begin(plan_of({"a": (), "z": ()}, stages=Stages(finally_=1)))
    harness.drain()
    for node, only, said in (
        ("z", {}, "is a hook"),
        ("a", {"run": 2}, "run 1"),
        ("a", {"attempt": 2}, "attempt 1"),
    ):
        with pytest.raises(WrongStateError, match=said):
            harness.overrule(execution, node, GIVEN, **only)
    large = Complete(msgspec.Raw(b'"' + b"x" * harness.settings.limits.max_execution_result_bytes + b'"'))
    with pytest.raises(ResultInvalidError, match="FLOWENGINE_MAX_EXECUTION_RESULT_BYTES"):
        harness.overrule(execution, "a", large)
    assert harness.api.executions.status(execution).run == 1


# -- ends, outputs, hooks, results


def test_an_end_that_an_operator_completes_ends_the_execution(harness: Harness) -> None:
    """As if it had run: what is pending is skipped."""
    execution = harness.begin(plan_of({"e": (), "f": (), "g": ("f",)}, ends=["e"]))
    harness.start_executions()
    harness.overrule(execution, "e", Complete(msgspec.Raw(b"null")))
    harness.drain()
    assert harness.statuses(execution) == {"e": "completed", "f": "cancelled", "g": "skipped"}
    assert harness.api.executions.status(execution).status == "completed"


def test_an_end_gives_the_outputs_that_an_operator_says(harness: Harness) -> None:
    """An object, or null; nothing else can be outputs."""
    plan = plan_of({"e": (), "f": ()}, ends=["e"])
    policies = {0: msgspec.structs.replace(plan.policies[0], gives_outputs=True)}
    execution = harness.begin(msgspec.structs.replace(plan, policies=policies))
    harness.start_executions()
    with pytest.raises(ResultInvalidError, match="an object or null"):
        harness.overrule(execution, "e", Complete(msgspec.Raw(b"[1]")))
    harness.overrule(execution, "e", Complete(msgspec.Raw(b'{"n":1}')))
    harness.drain()
    assert harness.api.executions.status(execution).outputs == {"n": msgspec.Raw(b"1")}


def test_an_operators_failure_stops_an_execution_that_failures_stop(harness: Harness) -> None:
    """Nothing is dispatched any more."""
    overall = ExecutionPolicy(stops_on_failure=True)
    execution = harness.begin(plan_of({"a": (), "b": (), "c": ("b",)}, overall=overall))
    harness.start_executions()
    harness.overrule(execution, "a", GONE)
    harness.drain()
    assert harness.statuses(execution) == {"a": "failed", "b": "cancelled", "c": "cancelled"}
    assert harness.api.executions.status(execution).status == "failed"


def test_a_hook_is_ended_once_its_turn_has_come(harness: Harness) -> None:
    """Also that of a cancelled execution, which still cleans up; the outputs are nobody's to end."""
    graph = {"a": (), OUTPUTS_NODE: (), "tidy": (), "tell": ("tidy",)}
    execution = harness.begin(plan_of(graph, stages=Stages(outputs=1, finally_=2)))
    harness.start_executions()
    with pytest.raises(WrongStateError, match="a hook whose turn has not come"):
        harness.overrule(execution, "tidy", Skip())
    with pytest.raises(NodeNotFoundError):
        harness.overrule(execution, OUTPUTS_NODE, Skip())
    harness.cancel(execution)
    for entry in orders(harness, "stop_execution"):
        assert harness.deliver(harness.orchestrators[0], entry)
    assert harness.statuses(execution)["tidy"] == "queued"
    harness.overrule(execution, "tidy", GIVEN)
    harness.drain()
    assert harness.statuses(execution)["tell"] == "completed"
    assert status_of(harness, execution) == "cancelled"


def test_the_last_main_node_that_an_operator_ends_is_followed_by_hooks(harness: Harness) -> None:
    """And by the outputs, if it has completed."""
    graph = {"a": (), OUTPUTS_NODE: (), "tidy": ()}
    execution = harness.begin(plan_of(graph, stages=Stages(outputs=1, finally_=1)))
    harness.start_executions()
    harness.overrule(execution, "a", GIVEN)
    harness.drain()
    assert harness.statuses(execution) == {"a": "completed", "tidy": "completed"}
    assert status_of(harness, execution) == "completed"


def test_a_result_must_match_the_output_schema(harness: Harness) -> None:
    """As that of the handler must."""
    schema = '{"type":"integer"}'
    plan = msgspec.structs.replace(plan_of(CHAIN), policies={0: Policy(output_schema=schema)})
    execution = harness.begin(plan)
    harness.start_executions()
    with pytest.raises(ResultInvalidError, match="does not match output_schema"):
        harness.overrule(execution, "a", Complete(msgspec.Raw(b'{"result":"x"}')))
    assert harness.overrule(execution, "a", GIVEN) == "completed"


def test_a_result_that_is_too_much_for_the_execution_is_refused(harness: Harness) -> None:
    """What it stores in all has a limit."""
    execution = harness.begin(plan_of({"a": ()}))
    limit = harness.settings.limits.max_execution_result_bytes
    harness.client.hset(harness.keys.counts(execution), "bytes", limit - 4000)
    with pytest.raises(ResultInvalidError, match="FLOWENGINE_MAX_EXECUTION_RESULT_BYTES"):
        harness.overrule(execution, "a", Complete(msgspec.Raw(msgspec.json.encode("x" * 5000))))
    harness.client.hset(harness.keys.counts(execution), "bytes", 0)


@pytest.mark.proves("overrule-crash")
def test_the_message_of_an_operators_word_comes_again_after_a_crash(harness: Harness) -> None:
    """And one of another run changes nothing."""
    execution = harness.begin(plan_of(DIAMOND))
    harness.start_executions()
    harness.overrule(execution, "a", GIVEN)
    (message,) = orders(harness, "node_overruled")
    assert msgspec.json.decode(message.payload, type=NodeOverruled).node == "a"
    first = harness.orchestrators[0]
    first.state.between = lambda: setattr(first.line, "dead", True)
    assert not harness.deliver(first, message)
    harness.drain()
    assert harness.results(execution)["d"] == 1 + 2 * 41
    assert status_of(harness, execution) == "completed"


@pytest.mark.proves("overrule-again")
def test_what_an_operator_ended_is_run_or_kept_by_a_trigger(harness: Harness) -> None:
    """What it failed runs again; what it skipped or completed beside it stays."""
    execution = harness.begin(plan_of({"a": (), "b": (), "c": (), "d": ("c",)}))
    harness.start_executions()
    for node, word in (("a", GONE), ("b", Skip()), ("c", GIVEN)):
        harness.overrule(execution, node, word)
    harness.drain()
    assert status_of(harness, execution) == "failed"
    harness.trigger(execution)
    harness.drain()
    kept = {"b": "skipped", "c": "completed"}
    assert harness.statuses(execution) == {"a": "completed", "d": "completed", **kept}
    assert harness.results(execution)["d"] == 41
    assert status_of(harness, execution) == "completed"
