"""Nodes with a `cache`: what is given again, to whom, and for how long."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest
from msgspec.structs import replace

from flowengine.engine.commands.rerun import RerunAsked
from flowengine.engine.ports import NOTHING_GIVEN, Given
from flowengine.engine.running.caching.entry_keys import entry_of
from flowengine.execution.messages import RunNode
from flowengine.execution.rules.steering.rerunning import Wanted
from flowengine.plugin import Context, Handler, HandlerError
from flowengine.template import Scope
from flowengine.workflow.limits.declared import CachePolicy
from flowengine.workflow.maps.policy import MapPolicy
from flowengine.workflow.plan import Plan
from flowengine.workflow.policy import Policy
from tests.support.checks.invariants import check_everything
from tests.support.child_plans import apply, start
from tests.support.child_plans import calls as runs
from tests.support.group_plans import adds, group, plan_from
from tests.support.rigs.harness import Harness, failing_in, plan_of, registry

TTL_S = 600


def plan(owner: str = "test\ta", **said: object) -> Plan:
    """A node with a cache, and one that reads what it gives."""
    made = plan_of({"a": (), "b": ("a",)})
    cache = replace(CachePolicy(TTL_S, owner), **said)
    return replace(made, policies={0: Policy(cache=cache)})


def run(harness: Harness, made: Plan | None = None) -> str:
    """An execution, to its end."""
    execution = harness.begin(made or plan())
    harness.drain()
    return execution


def calls(harness: Harness, node: str = "a") -> int:
    """How often the node's handler was called."""
    return sum(call.node_id == node for call in harness.workers[0].invoker.calls)


def shown(harness: Harness, execution: str, node: str = "a") -> object:
    """Whether its result was given at another time, as the API says."""
    return harness.api.executions.node(execution, node).cached


def entries(harness: Harness) -> list[bytes]:
    """What is kept."""
    return list(harness.client.scan_iter("fe:cached:*"))


@pytest.mark.proves("cache-hit")
def test_what_a_node_has_given_is_given_again_without_a_call(harness: Harness) -> None:
    """What follows reads the same; status and events tell of it as of any end."""
    first, second = run(harness), run(harness)
    assert (calls(harness), calls(harness, "b")) == (1, 2)
    assert harness.results(first) == harness.results(second)
    assert shown(harness, first) is msgspec.UNSET
    assert shown(harness, second) is True
    check_everything(harness.client)


@pytest.mark.proves("cache-hit")
def test_an_entry_expires(harness: Harness) -> None:
    """After its time, and by itself."""
    run(harness)
    (entry,) = entries(harness)
    assert 0 < harness.client.ttl(entry) <= TTL_S
    harness.client.pexpire(entry, 0)
    assert shown(harness, run(harness)) is msgspec.UNSET
    assert calls(harness) == 2


@pytest.mark.proves("cache-hit")
@pytest.mark.parametrize("other", [{"owner": "other\ta"}, {"owner": "test\tc"}, {"key": "mine"}])
def test_others_are_given_nothing(harness: Harness, other: dict[str, str]) -> None:
    """Neither another workflow, nor another node, nor who asks by another key."""
    run(harness)
    run(harness, plan(**other))
    assert calls(harness) == 2
    assert len(entries(harness)) == 2


def test_a_key_says_what_is_the_same(harness: Harness) -> None:
    """Whatever the config is."""
    run(harness, plan(key="{{ 'x' ~ 'y' }}"))
    padded = plan_of({"a": (), "b": ("a",)}, padding=5)
    run(harness, replace(padded, policies={0: Policy(cache=CachePolicy(TTL_S, "test\ta", "xy"))}))
    assert calls(harness) == 1


@pytest.mark.proves("cache-failures")
def test_a_failure_is_not_kept(harness: Harness) -> None:
    """The next one calls."""

    def fails(context: Context) -> None:
        if context.node_id == "a":
            raise HandlerError("broken", "no")

    harness.script = fails
    run(harness)
    assert not entries(harness)
    harness.script = lambda context: None
    execution = run(harness)
    assert harness.statuses(execution) == {"a": "completed", "b": "completed"}
    assert calls(harness) == 2


@pytest.mark.proves("cache-twice")
def test_two_misses_at_once_both_run(harness: Harness) -> None:
    """Each keeps what it gave; nobody waits for the other."""
    executions = [harness.begin(plan()) for _ in range(2)]
    harness.start_executions()
    tasks = harness.tasks()
    assert len(tasks) == 2
    second = harness.second_worker()
    done: list[bool] = []

    def once(context: Context) -> None:
        if not done:
            done.append(True)
            harness.deliver(second, tasks[1])

    harness.script = once
    harness.deliver(harness.workers[0], tasks[0])
    harness.drain()
    assert len(entries(harness)) == 1
    for execution in executions:
        assert shown(harness, execution) is msgspec.UNSET
        assert harness.statuses(execution) == {"a": "completed", "b": "completed"}


@pytest.mark.proves("cache-rerun")
def test_a_rerun_misses_on_purpose_and_keeps_what_it_gives(harness: Harness) -> None:
    """A trigger of what has failed does not."""
    execution = run(harness)
    harness.api.executions.rerun(execution, RerunAsked(Wanted("all")))
    harness.drain()
    assert calls(harness) == 2
    assert shown(harness, execution) is msgspec.UNSET
    assert shown(harness, run(harness)) is True
    check_everything(harness.client)


@pytest.mark.proves("cache-rerun")
def test_a_fork_misses_on_purpose(harness: Harness) -> None:
    """As a rerun of the execution itself does."""
    execution = run(harness)
    fork = harness.api.executions.fork(execution, RerunAsked(Wanted("all"))).execution_id
    harness.drain()
    assert (calls(harness), shown(harness, fork)) == (2, msgspec.UNSET)
    assert shown(harness, run(harness)) is True


@pytest.mark.proves("cache-rerun")
@pytest.mark.parametrize("as_new", [False, True])
def test_nodes_below_what_a_rerun_resets_miss_on_purpose(harness: Harness, *, as_new: bool) -> None:
    """In groups, in groups of groups, and in executions of definitions; a first run finds what they gave."""
    cached = {**adds("a"), "cache": {"ttl_seconds": TTL_S}}
    apply(harness, "inner", nodes=[cached])
    inside = group("outer", group("pair", cached), runs("call", "inner"))
    made = plan_from(nodes=[inside])
    execution = run(harness, made)
    assert calls(harness) == 2
    asked = RerunAsked(Wanted("all"))
    if as_new:
        harness.api.executions.fork(execution, asked)
    else:
        harness.api.executions.rerun(execution, asked)
    harness.drain()
    assert calls(harness) == 4
    run(harness, made)
    assert calls(harness) == 4
    check_everything(harness.client)


@pytest.mark.proves("cache-rerun")
@pytest.mark.parametrize(("again", "called"), [("rerun", 1), ("trigger", 0)])
def test_a_child_that_goes_on_misses_where_a_rerun_asks(harness: Harness, again: str, called: int) -> None:
    """A trigger of what has failed finds what another execution has given meanwhile."""
    harness.script = failing_in(1, "a")
    made = plan_from(nodes=[group("pair", {**adds("a"), "cache": {"ttl_seconds": TTL_S}})])
    execution = run(harness, made)
    harness.script = lambda context: None
    run(harness, made)
    before = calls(harness)
    if again == "rerun":
        harness.api.executions.rerun(execution, RerunAsked(Wanted("failed")))
    else:
        harness.trigger(execution)
    harness.drain()
    assert harness.statuses(execution) == {"pair": "completed"}
    assert calls(harness) == before + called


@pytest.mark.proves("cache-hit")
def test_items_of_a_map_are_given_again_one_by_one(harness: Harness) -> None:
    """By what each of them is."""
    made = plan_of({"a": ()}, reading=False)
    spec = msgspec.json.encode({"items": [1, 2, 1]}).decode()
    config = msgspec.Raw(msgspec.json.encode({"inputs": ["{{ item }}"]}))
    node = replace(made.nodes[0], work=replace(made.nodes[0].work, config=config))
    policy = Policy(map=MapPolicy(spec), cache=CachePolicy(TTL_S, "test\ta"))
    mapped = replace(made, nodes=(node,), policies={0: policy})
    run(harness, mapped)
    assert len(entries(harness)) == 2
    before = calls(harness)
    execution = run(harness, mapped)
    assert calls(harness) == before
    results = msgspec.json.decode(harness.api.executions.results(execution).results["a"])
    assert results["result"] == [2, 3, 2]


@pytest.mark.proves("cache-room")
def test_nothing_is_kept_where_new_work_would_be_refused(harness: Harness) -> None:
    """The node completes as ever."""
    state = harness.workers[0].state
    state.settings = replace(state.settings, max_stored_bytes=1)
    execution = run(harness)
    assert harness.statuses(execution) == {"a": "completed", "b": "completed"}
    assert not entries(harness)


# -- keys

HANDLER = cast(Handler, registry().get("sum"))
TASK = RunNode(
    execution="e",
    run=1,
    node="a",
    dispatch=1,
    attempt=1,
    handler="h",
    config=msgspec.Raw(b'{"url":"http://x/{{ secrets.token }}"}'),
    reads=(),
    timeout_ms=1000,
    correlation_id="c",
)


def named(
    secret: str,
    task: RunNode = TASK,
    handler: Handler = HANDLER,
    given: Given = NOTHING_GIVEN,
    key: str | None = None,
) -> str | None:
    """The name of the entry where the secret is this one."""
    scope = Scope(outputs={}, primaries={}, secrets=lambda name: secret)
    config = {"url": f"http://x/{secret}"}
    return entry_of(task, CachePolicy(5, "o", key), handler, scope, config, given, 10_000)  # type: ignore[arg-type]


@pytest.mark.proves("cache-secrets")
def test_no_secret_goes_into_the_name_of_an_entry() -> None:
    """Its name does, so that another secret is another entry, and another value is not."""
    assert named("one") == named("two")
    other = replace(TASK, config=msgspec.Raw(b'{"url":"http://x/{{ secrets.other }}"}'))
    assert named("one") != named("one", other)


def test_another_version_of_the_handler_is_given_nothing() -> None:
    """What it gave before may be wrong now."""
    assert named("one") != named("one", handler=replace(HANDLER, version="2"))


@pytest.mark.proves("cache-secrets")
@pytest.mark.parametrize("key", [None, "the same"])
def test_what_reads_a_secret_input_has_no_entry(key: str | None) -> None:
    """With a key neither: another execution would be given what was made with this one's secret."""
    task = replace(TASK, config=msgspec.Raw(b'{"url":"http://x/{{ inputs.token }}"}'))
    assert named("one", task, given=Given(secret=("token",)), key=key) is None
    assert named("one", task, given=Given(secret=("other",)), key="the same") is not None
    assert named("one", given=Given(secret=("token",)), key=key) is not None


@pytest.mark.proves("cache-hit")
def test_a_posted_document_is_given_nothing_of_an_applied_one(harness: Harness) -> None:
    """Nor gives it any: everybody who may post can take the name."""
    cached = {**adds("a"), "cache": {"ttl_seconds": TTL_S}}
    apply(harness, "prices", nodes=[cached])
    for count in (1, 1):
        start(harness, "prices")
        harness.drain()
        assert calls(harness) == count
    posted = plan_from(name="prices", nodes=[cached])
    for count in (2, 2):
        run(harness, posted)
        assert calls(harness) == count


def repeated(until: str = "{{ iteration == 3 }}", *, collect: bool = False, key: str | None = None) -> Plan:
    """A node that repeats and has a cache, and one that reads what it gives."""
    cache = {"ttl_seconds": TTL_S} if key is None else {"ttl_seconds": TTL_S, "key": key}
    repeat = {"until": until, "collect": collect}
    first = {"id": "a", "handler": "sum", "config": {"inputs": [1, 1]}, "repeat": repeat, "cache": cache}
    return plan_from(nodes=[first, adds("b", after=("a",))])


@pytest.mark.proves("cache-iteration")
@pytest.mark.parametrize("collect", [False, True])
def test_an_iteration_that_was_kept_is_an_iteration(harness: Harness, *, collect: bool) -> None:
    """Each has an entry of its own, though all have one config; what follows is the same as if it had run."""
    first, second = run(harness, repeated(collect=collect)), run(harness, repeated(collect=collect))
    assert calls(harness) == 3
    assert len(entries(harness)) == 3
    assert (
        harness.api.executions.results(first).results["a"]
        == harness.api.executions.results(second).results["a"]
    )
    assert harness.api.executions.node(second, "a").iteration == 3
    assert (shown(harness, first), shown(harness, second)) == (msgspec.UNSET, True)
    check_everything(harness.client)


@pytest.mark.proves("cache-iteration")
def test_iterations_after_those_that_were_kept_run(harness: Harness) -> None:
    """And are kept then; under a key of the node's own as well."""
    run(harness, repeated("{{ iteration == 2 }}", key="mine"))
    longer = run(harness, repeated(key="mine"))
    assert calls(harness) == 3
    assert shown(harness, longer) is msgspec.UNSET
    assert shown(harness, run(harness, repeated(key="mine"))) is True
    assert calls(harness) == 3


@pytest.mark.proves("cache-iteration")
def test_an_iteration_is_kept_once_it_is_reported(harness: Harness) -> None:
    """A condition that fails keeps nothing, and a rerun misses in each iteration."""
    run(harness, repeated("{{ 'no' if iteration == 2 else false }}"))
    assert len(entries(harness)) == 1
    execution = run(harness, repeated())
    assert calls(harness) == 2 + 2
    harness.api.executions.rerun(execution, RerunAsked(Wanted("all")))
    harness.drain()
    assert calls(harness) == 4 + 3
    check_everything(harness.client)
