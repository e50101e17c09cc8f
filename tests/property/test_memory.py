"""What `flowengine test` runs on in place of a server is like one: by its commands and by its events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowengine.engine.ports import Invoker
from flowengine.execution.history.places import START
from flowengine.execution.history.views import EventView
from flowengine.execution.views.executions import ExecutionView
from flowengine.settings import Settings
from flowengine.store.connection.clock import milliseconds
from flowengine.store.connection.sessions import Sessions, connect
from flowengine.testing.memory.connection import COMMANDS, client_of
from flowengine.testing.memory.keyspace import Keyspace
from flowengine.testing.running.local_stack import LocalStack, addresses_over, state_over
from flowengine.testing.running.mocked_handlers import MockedHandlers
from flowengine.testing.running.virtual_clock import VirtualClock
from flowengine.testing.running.workbench import silence
from flowengine.workflow.plan import Plan
from tests.property.examples import share_of_examples
from tests.property.graphs import graphs, sayings, stages, stages_of
from tests.support.checks.reference_model import Graph
from tests.support.rigs.harness import NoSecrets, ScriptedInvoker, failing_in, plan_of, registry
from tests.support.servers.valkey import Valkey

FIXTURES: Final = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow)
FAR: Final = 4_000_000_000
"""A time in seconds since the epoch that no run of these tests comes to."""
OWNER: Final = "0190a1b2c3d" + "0" * 16

Command = tuple[Any, ...]


# -- command by command


def texts() -> st.SearchStrategy[str]:
    """Few, so that commands meet."""
    return st.sampled_from(["a", "b", "c", "d"])


def numbers() -> st.SearchStrategy[int]:
    """Small ones, from both ends."""
    return st.integers(-4, 4)


def scores() -> st.SearchStrategy[float]:
    """As times are, and fractions."""
    return st.one_of(st.integers(-5, 5), st.sampled_from([0.5, 1.25, 1_767_225_600_123]))


def bounds() -> st.SearchStrategy[str]:
    """Of scores."""
    written = st.one_of(scores().map(str), scores().map("({}".format))
    return st.one_of(st.sampled_from(["-inf", "+inf"]), written)


def member_bounds() -> st.SearchStrategy[str]:
    """Of members."""
    return st.one_of(st.sampled_from(["-", "+"]), texts().map("[{}".format), texts().map("({}".format))


def command(*parts: Any) -> st.SearchStrategy[Command]:
    """A command of these parts: texts as they are, all else is drawn. A drawn tuple is several parts."""
    drawn = [part if isinstance(part, st.SearchStrategy) else st.just(part) for part in parts]

    def flat(found: Sequence[Any]) -> Command:
        return tuple(
            piece for part in found for piece in (part if isinstance(part, tuple | list) else (part,))
        )

    return st.tuples(*drawn).map(flat)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """One to three."""
    return st.lists(strategy, min_size=1, max_size=3)


LIMIT: Final = st.one_of(st.just(()), st.tuples(st.just("LIMIT"), st.integers(0, 2), st.integers(-1, 3)))
SCORED: Final = st.sampled_from([(), ("WITHSCORES",)])
PAIRS: Final = some(st.tuples(texts(), texts())).map(
    lambda found: tuple(part for pair in found for part in pair)
)
FLAGS: Final = st.sampled_from([(), ("NX",), ("XX",), ("GT",), ("LT",), ("XX", "LT")])
MEMBERS: Final = some(st.tuples(scores(), texts())).map(
    lambda found: tuple(part for pair in found for part in pair)
)

ANY_KEY: Final = st.sampled_from(["text", "hash", "list", "set", "stream", "none"])
LIVES: Final = st.sampled_from([(), ("NX",), ("EXAT", FAR), ("NX", "EXAT", FAR), ("XX",)])

SENT: Final = st.one_of(
    command("SET", "text", texts(), LIVES),
    command("GET", st.sampled_from(["text", "none"])),
    command("MGET", some(st.sampled_from(["text", "none"]))),
    command("APPEND", "text", texts()),
    command("EXISTS", some(ANY_KEY)),
    command("DEL", some(ANY_KEY)),
    command("UNLINK", some(ANY_KEY)),
    command("EXPIREAT", ANY_KEY, st.sampled_from([FAR, FAR + 7, 1])),
    command("PEXPIREAT", ANY_KEY, FAR * 1000),
    command("EXPIREAT", ANY_KEY, FAR + 9, "NX"),
    command("EXPIRE", st.just("none"), 5, "NX"),
    command("PEXPIRE", st.just("none"), 5),
    command("PERSIST", ANY_KEY),
    command("EXPIRETIME", ANY_KEY),
    command("PING"),
    command("HSET", "hash", PAIRS),
    command("HSETNX", "hash", texts(), texts()),
    command("HGET", "hash", texts()),
    command("HMGET", "hash", some(texts())),
    command("HGETALL", "hash"),
    command("HKEYS", "hash"),
    command("HSCAN", "hash", 0, "COUNT", 10),
    command("HLEN", "hash"),
    command("HEXISTS", "hash", texts()),
    command("HSTRLEN", "hash", texts()),
    command("HDEL", "hash", some(texts())),
    command("HINCRBY", "numbers", texts(), numbers()),
    command("HGETALL", "numbers"),
    command("RPUSH", "list", some(texts())),
    command("LLEN", "list"),
    command("LRANGE", "list", numbers(), numbers()),
    command("LINDEX", "list", numbers()),
    command("LPOS", "list", texts()),
    command("LREM", "list", st.integers(1, 3), texts()),
    command("ZADD", "set", FLAGS, MEMBERS),
    command("ZADD", "alike", 0, texts()),
    command("ZREM", "set", some(texts())),
    command("ZRANGE", "set", numbers(), numbers(), SCORED),
    command("ZRANGE", "set", numbers(), numbers(), "REV", SCORED),
    command("ZRANGE", "set", bounds(), bounds(), "BYSCORE", LIMIT, SCORED),
    command("ZRANGE", "set", bounds(), bounds(), "BYSCORE", "REV", LIMIT, SCORED),
    command("ZRANGE", "alike", member_bounds(), member_bounds(), "BYLEX", LIMIT),
    command("ZRANGE", "alike", member_bounds(), member_bounds(), "BYLEX", "REV", LIMIT),
    command("ZLEXCOUNT", "alike", member_bounds(), member_bounds()),
    command("ZSCORE", "set", texts()),
    command("ZCARD", "set"),
    command("ZREMRANGEBYRANK", "set", numbers(), numbers()),
    command("ZREMRANGEBYSCORE", "set", bounds(), bounds()),
    command("XADD", "stream", st.sampled_from([(), ("NOMKSTREAM",), ("MAXLEN", 3)]), "*", PAIRS),
    command("XLEN", "stream"),
    command("XRANGE", "stream", "-", "+", st.sampled_from([(), ("COUNT", 2)])),
    command("XREVRANGE", "stream", "+", "-", st.sampled_from([(), ("COUNT", 2)])),
    command("HGET", "text", texts()),
    command("RPUSH", "hash", texts()),
    command("GET", "set"),
)
NOT_COMPARED: Final = {"TIME", "INFO", "XACK", "XDEL", "XINFO"}
"""Their replies are of one server's time, memory or consumers. Graphs of whole executions need them."""


def test_every_command_is_compared() -> None:
    """One that is added is added here as well."""
    drawn = {str(strategy) for strategy in SENT.original_strategies}  # type: ignore[attr-defined]  # of `one_of`
    named = {name.decode() for name in COMMANDS if any(f"'{name.decode()}'" in each for each in drawn)}
    assert named | NOT_COMPARED == {name.decode() for name in COMMANDS}


@settings(max_examples=share_of_examples(100), suppress_health_check=FIXTURES, deadline=None)
@given(sent=st.lists(SENT, min_size=1, max_size=40))
def test_replies_are_those_of_a_server(valkey: Valkey, sent: list[Command]) -> None:
    """Whatever was sent before, errors of the wrong type included."""
    server = connect(valkey.url)
    server.flushall()
    clock = VirtualClock(milliseconds(server.time()))
    ours = Sessions(client_of(Keyspace(clock.now))).here()
    theirs = Sessions(server).here()
    for each in sent:
        clock.move(milliseconds(server.time()))
        assert _plain(ours.call_each([each])) == _plain(theirs.call_each([each])), each
    watched = [("WATCH", "hash"), ("HSET", "hash", "a", "z"), ("MULTI",), ("GET", "none"), ("EXEC",)]
    assert _plain(ours.call_each(watched)) == _plain(theirs.call_each(watched))
    server.close()


def _plain(replies: list[Any]) -> list[Any]:
    """Errors by their first word, ids of entries by their places."""
    return [
        _without_ids(f"{reply}".split()[0] if isinstance(reply, redis.ResponseError) else reply)
        for reply in replies
    ]


def _without_ids(reply: Any) -> Any:
    if isinstance(reply, list):
        return [_without_ids(each) for each in reply]
    is_id = (
        isinstance(reply, bytes) and b"-" in reply and reply.replace(b"-", b"").isdigit() and len(reply) > 12
    )
    return "an id" if is_id else reply


# -- event by event


def ran(client: redis.Redis, now: int, plan: Plan, own: Invoker) -> tuple[ExecutionView, list[EventView]]:
    """What became of the execution, and what happened in it."""
    clock = VirtualClock(now)
    state = state_over(client, clock, Settings(), OWNER)
    nodes = [node.id for node in plan.nodes]
    handlers = MockedHandlers(own, addresses_over(state), {}, nodes, {}, clock.now)
    stack = LocalStack(state, clock, registry(), handlers, NoSecrets(), {})
    execution = stack.executions.start(plan, correlation_id="test").execution_id
    stack.run(execution)
    page = stack.executions.events(execution, after=START, limit=10_000)
    events = [msgspec.structs.replace(event, id="") for event in page.items]
    return stack.executions.status(execution), events


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=max(1000, share_of_examples(100)), suppress_health_check=FIXTURES, deadline=None)
@given(graph=graphs(most=10), data=st.data())
def test_executions_end_alike_in_memory_and_on_a_server(
    valkey: Valkey, graph: Graph, data: st.DataObject
) -> None:
    """Event by event, with failures, rules, conditions, retries, iterations, waits, limits and hooks."""
    hooks = data.draw(stages())
    whole = {**graph, **{node: parents for listed in hooks.values() for node, parents in listed.items()}}
    says = data.draw(sayings(whole))
    failing = data.draw(st.sets(st.sampled_from(list(whole)), max_size=4))
    plan = plan_of(whole, says=says, stages=stages_of(hooks))
    server = connect(valkey.url)
    server.flushall()
    now = milliseconds(server.time())
    with silence():
        in_memory = ran(client_of(Keyspace(lambda: now)), now, plan, ScriptedInvoker(failing_in(1, *failing)))
        on_server = ran(server, now, plan, ScriptedInvoker(failing_in(1, *failing)))
    server.close()
    assert in_memory[1], "something has happened"
    assert in_memory == on_server
