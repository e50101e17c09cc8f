"""Which commands each service sends, and which of them a server does not let its user run.

A server is asked with samples that it queues and never carries out. It refuses a command that the user may
not run, or whose keys the user may not touch, when it is queued.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

import redis

from flowengine.queues import (
    GROUP,
    ORCHESTRATOR_QUEUE,
    WORKER_QUEUE,
    dead_letter_key,
    handler_line,
    janitor_key,
    later_key,
    process_key,
    stream_key,
)
from flowengine.store import keys
from flowengine.store.connection.packing import Command
from flowengine.store.connection.probe import Probe
from flowengine.store.server_checks.server_facts import CLUSTER, REPLICA, Trouble

Service: TypeAlias = Literal["api", "orchestrator", "worker"]
SERVICES: Final[tuple[Service, ...]] = ("api", "orchestrator", "worker")

_NAMES: Final = keys.of("")
_ID: Final = "0" * keys.ID_CHARS
_CONTROL: Final = _NAMES.control(_ID)
_NODE: Final = _NAMES.node(_ID, "a")
_STARTED: Final = _NAMES.started(_ID)
_EVENTS: Final = _NAMES.events(_ID)
_INDEX: Final = _NAMES.index("running")
_QUEUE: Final = stream_key(ORCHESTRATOR_QUEUE)
_HANDLERS: Final = _NAMES.handlers(WORKER_QUEUE)
_TURNS: Final = _NAMES.line("x:a")
_STARTS: Final = _NAMES.starts("s:a")
_DEAD: Final = dead_letter_key(WORKER_QUEUE)
_LINE: Final = _NAMES.stream(handler_line(WORKER_QUEUE, "a"))

TRANSACTIONS: Final[tuple[Command, ...]] = (
    ("WATCH", _CONTROL, _NODE),
    ("UNWATCH",),
    ("MULTI",),
    ("EXEC",),
)
"""These are carried out: they are what the others are queued with. Together they change nothing."""

_BY_ALL: Final[tuple[Command, ...]] = (
    ("PING",),
    ("TIME",),
    ("GET", _NAMES.plan(_ID)),
    ("SET", keys.FORMAT, "", "NX"),
    ("EXISTS", _CONTROL),
    ("HGET", _NAMES.counts(_ID), "bytes"),
    ("HMGET", _CONTROL, "status"),
    ("HSET", _NODE, keys.STATE, ""),
    ("HDEL", _NODE, ""),
    ("HDEL", _STARTED, ""),
    ("ZADD", _INDEX, 0, _ID),
    ("ZRANGE", _INDEX, 0, 0),
    ("ZRANGE", _HANDLERS, 0, 0),
    ("ZREM", _INDEX, _ID),
    ("XADD", _QUEUE, "*", "a", ""),
    ("XADD", _EVENTS, "NOMKSTREAM", "*", "e", ""),
    ("XINFO", "CONSUMERS", _QUEUE, GROUP),
    ("XPENDING", _QUEUE, GROUP, "-", "+", 1),
    ("XLEN", later_key(ORCHESTRATOR_QUEUE)),
    ("XRANGE", _QUEUE, "-", "+", "COUNT", 1),
)
_BY_CONSUMERS: Final[tuple[Command, ...]] = (
    ("XGROUP", "CREATE", _QUEUE, GROUP, "0", "MKSTREAM"),
    ("XGROUP", "DELCONSUMER", _QUEUE, GROUP, ""),
    ("XINFO", "GROUPS", _QUEUE),
    ("SET", janitor_key(WORKER_QUEUE), "", "NX", "PX", 1),
    ("XREADGROUP", "GROUP", GROUP, "", "COUNT", 1, "BLOCK", 1, "STREAMS", stream_key(WORKER_QUEUE), ">"),
    ("XCLAIM", _QUEUE, GROUP, "", 1, "0-1"),
    ("XACK", _QUEUE, GROUP, "0-1"),
    ("XDEL", _QUEUE, "0-1"),
    ("XADD", _DEAD, "MAXLEN", "~", 1, "*", "a", ""),
    ("ZADD", _NAMES.deadlines, 0, ""),
    ("ZADD", _NAMES.own_queues, 0, ""),
    ("DEL", keys.of("", _ID).stream(WORKER_QUEUE)),
    ("SET", process_key("a"), "", "PX", 1),
)

_OF_MAPS: Final[tuple[Command, ...]] = (
    ("HLEN", _NAMES.items_ended(_ID, "a")),
    ("HKEYS", _NAMES.map(_ID, "a")),
    ("HSCAN", _STARTED, 0, "COUNT", 1),
    ("HSTRLEN", _NAMES.items_ended(_ID, "a"), "0"),
    ("LRANGE", _NAMES.items(_ID, "a"), 0, 0),
)
"""What reads the items of maps."""

NEEDED: Final[Mapping[Service, tuple[Command, ...]]] = {
    "api": (
        *_BY_ALL,
        *_OF_MAPS,
        ("UNLINK", _NAMES.map(_ID, "a")),
        ("XINFO", "GROUPS", _QUEUE),
        ("ZREMRANGEBYRANK", _NAMES.stopping, 0, 0),
        ("SET", keys.HEALTH, "", "EX", 60),
        ("SET", _NAMES.plan(_ID), "", "EXAT", 1),
        ("SET", _NAMES.once(""), "", "EXAT", 1),
        ("DEL", _STARTED),
        ("EXPIREAT", _CONTROL, 1),
        ("HGETALL", _STARTED),
        ("HGETALL", _NODE),
        ("HMGET", _NAMES.inputs(_ID), keys.VALUES, keys.VARS),
        ("HSTRLEN", _NODE, keys.RESULT),
        ("HGETALL", keys.API_KEYS),
        # For `flowengine key`, which is run with the API's settings.
        ("HSETNX", _NAMES.inputs(_ID), keys.SEED, ""),
        ("HSETNX", keys.API_KEYS, "made", 0),
        ("HSET", keys.API_KEYS, "used:a", 0),
        ("HDEL", keys.API_KEYS, "used:a"),
        ("XADD", _NAMES.audit, "MAXLEN", "~", 1, "*", "a", ""),
        ("SET", keys.session_key(""), "", "EXAT", 1),
        ("GET", keys.session_key("")),
        ("DEL", keys.session_key("")),
        ("XREVRANGE", _NAMES.audit, "+", "-", "COUNT", 1),
        ("PERSIST", _CONTROL),
        ("ZCARD", _INDEX),
        ("XINFO", "STREAM", _EVENTS),
        ("HINCRBY", _NAMES.ended(0), "a", 1),
        ("HGETALL", _NAMES.ended(0)),
        ("MGET", process_key("a")),
        ("XREVRANGE", _DEAD, "+", "-", "COUNT", 1),
        ("XDEL", _DEAD, "0-1"),
        ("SET", _NAMES.moved(WORKER_QUEUE), "", "EX", 1),
        ("ZLEXCOUNT", _NAMES.list_by, "-", "+"),
        ("HGETALL", _NAMES.definition("a")),
        ("HDEL", _NAMES.definition("a"), ""),
        ("HMGET", _NAMES.version("a", 1), keys.PLAN),
        ("DEL", _NAMES.version("a", 1)),
        ("ZADD", _NAMES.definitions, 0, "a"),
        ("ZREM", _NAMES.definitions, "a"),
        ("SET", _NAMES.schedule("a", "a"), ""),
        ("XADD", _NAMES.outcomes("a", "a"), "MAXLEN", "~", 1, "*", "o", ""),
        ("XREVRANGE", _NAMES.outcomes("a", "a"), "+", "-", "COUNT", 1),
        ("ZRANGE", _NAMES.schedules, "-", "+", "BYLEX", "LIMIT", 0, 1),
        ("XREAD", "COUNT", 1, "STREAMS", _EVENTS, "0"),
        ("RPUSH", _TURNS, ""),
        ("LREM", _TURNS, 1, ""),
        ("LLEN", _TURNS),
        ("LPOS", _TURNS, ""),
        ("LRANGE", _TURNS, 0, 0),
        ("HSET", _NAMES.line_limits, "", 1),
        ("ZADD", _NAMES.line_index, 0, ""),
    ),
    "orchestrator": (
        *_BY_ALL,
        *_OF_MAPS,
        *_BY_CONSUMERS,
        ("SET", _NAMES.sweep, "1", "NX", "PX", 1),
        ("EXPIREAT", _CONTROL, 1),
        ("HINCRBY", _NAMES.deps(_ID), "a", 1),
        ("HINCRBY", _NAMES.ended(0), "a", 1),
        ("XREVRANGE", _EVENTS, "+", "-", "COUNT", 1),
        ("ZREMRANGEBYRANK", _NAMES.odd_timers, 0, 0),
        ("ZSCORE", _NAMES.deadlines, ""),
        ("SET", _NAMES.moved(WORKER_QUEUE), "", "EX", 1),
        ("HSETNX", _NAMES.counts(_ID), keys.FIRST_FAILED, ""),
        ("HEXISTS", _NAMES.items_ended(_ID, "a"), "0"),
        ("RPUSH", _NAMES.items_todo(_ID, "a"), ""),
        ("LINDEX", _NAMES.items(_ID, "a"), 0),
        ("PEXPIREAT", _NAMES.item_try(_ID, "a", 0), 1),
        ("DEL", _CONTROL),
        ("UNLINK", _NODE),
        ("COPY", _NODE, _NODE, "REPLACE"),
        ("APPEND", _NAMES.collected(_ID, "a"), ""),
        ("RPUSH", _TURNS, ""),
        ("LREM", _TURNS, 1, ""),
        ("LLEN", _TURNS),
        ("LRANGE", _TURNS, 0, 0),
        ("HDEL", _NAMES.line_limits, ""),
        ("SET", _NAMES.schedule("a", "a"), ""),
        ("XADD", _NAMES.outcomes("a", "a"), "MAXLEN", "~", 1, "*", "o", ""),
        ("HMGET", _NAMES.version("a", 1), keys.PLAN),
        ("SET", _NAMES.plan(_ID), "", "EXAT", 1),
        ("PERSIST", _CONTROL),
        ("ZCARD", _INDEX),
        ("LPOS", _TURNS, ""),
        ("HSET", _NAMES.line_limits, "", 1),
        ("ZADD", _NAMES.line_index, 0, ""),
        ("ZREMRANGEBYSCORE", _STARTS, "-inf", 0),
        ("PEXPIRE", _STARTS, 1),
        ("ZREM", _NAMES.line_index, ""),
    ),
    "worker": (
        *_BY_ALL,
        *_OF_MAPS,
        ("HEXISTS", _NAMES.items_ended(_ID, "a"), "0"),
        *_BY_CONSUMERS,
        ("HMGET", _NAMES.inputs(_ID), keys.VALUES, keys.SECRET),
        ("HSTRLEN", _NODE, keys.RESULT),
        ("ZSCORE", _HANDLERS, ""),
        ("XADD", _LINE, "*", "a", ""),
        ("HINCRBY", _NAMES.logged(_ID), keys.LOGGED_BYTES, 1),
        ("EXPIRE", _NAMES.lines(_ID), 1, "NX"),
        ("EXPIREAT", _NAMES.lines(_ID), 1),
        ("EXPIRETIME", _CONTROL),
    ),
}
"""One sample at least of each command that a service sends, and of each kind of key that it uses."""

DONE_WITHOUT: Final[tuple[Command, ...]] = (
    ("INFO",),
    ("CLIENT", "ID"),
    ("CLIENT", "UNBLOCK", 0),
)
"""What is asked for where it may be. Without INFO, nothing is known of the server and of its memory. Without
CLIENT, a process that is told to stop may take a second longer."""

_WITH_SUBCOMMANDS: Final = ("CLIENT", "XGROUP", "XINFO")
_NOT_HERE: Final = ("unknown command", "unknown subcommand")
_OF_CLUSTERS: Final = (
    redis.exceptions.AskError,
    redis.exceptions.ClusterCrossSlotError,
    redis.exceptions.ClusterDownError,
)


def refused_commands(probe: Probe, services: Iterable[Service], queues: Iterable[str] = ()) -> list[Trouble]:
    """What keeps these services from their work on the server, as its answers to their commands tell."""
    transactions = probe.ask(*TRANSACTIONS)
    samples = [sample for service in services for sample in NEEDED[service]]
    samples += [("XADD", stream_key(queue), "*", "a", "") for queue in queues]
    samples = list(dict.fromkeys(samples))
    queued = probe.queue(samples)
    asked = [*TRANSACTIONS, *samples[: len(queued)]]
    return _troubles(asked, [*transactions, *queued], all_asked=len(queued) == len(samples))


def _troubles(commands: Sequence[Command], replies: Sequence[Any], *, all_asked: bool) -> list[Trouble]:
    found: dict[str, dict[str, None]] = {"forbidden": {}, "unknown": {}, "keys": {}}
    for command, reply in zip(commands, replies, strict=True):
        if isinstance(reply, _OF_CLUSTERS) and not isinstance(reply, redis.exceptions.MasterDownError):
            return [CLUSTER]
        if isinstance(reply, redis.exceptions.ReadOnlyError):
            return [REPLICA]
        kind = _kind(reply)
        if kind is not None:
            found[kind][name_of(command)] = None
    return [
        Trouble(reason=_SENTENCES[kind](list(names), "" if all_asked else " and perhaps more"))
        for kind, names in found.items()
        if names
    ]


def _kind(reply: object) -> str | None:
    """Of what kind a refusal is; None for anything that has nothing to do with the user's rights."""
    said = str(reply)
    if isinstance(reply, redis.exceptions.NoPermissionError | redis.exceptions.ExecAbortError):
        # An EXEC that is forbidden is answered as one that cannot be done, with NOPERM in the text.
        return "forbidden" if "to run" in said else "keys"
    return "unknown" if isinstance(reply, redis.ResponseError) and said.startswith(_NOT_HERE) else None


def name_of(command: Command) -> str:
    """A command as ACL rules write it, in capitals: `XGROUP|CREATE`."""
    name = str(command[0])
    return f"{name}|{command[1]}" if name in _WITH_SUBCOMMANDS else name


def grants(names: Iterable[str]) -> str:
    """The ACL rules that allow these commands."""
    return " ".join(f"+{name.lower()}" for name in dict.fromkeys(names))


def _forbidden(names: Sequence[str], more: str) -> str:
    shown = f"{', '.join(names)}{more}"
    return (
        f"its user may not run {shown}: on the server, say ACL SETUSER USER {grants(names)}. "
        "See: flowengine help operating"
    )


def _unknown(names: Sequence[str], more: str) -> str:
    return f"the server does not know {', '.join(names)}{more}, which FlowEngine needs"


def _no_keys(_: Sequence[str], __: str) -> str:
    return "its user has no rights on the keys fe:*: on the server, say ACL SETUSER USER ~fe:*"


_SENTENCES: Final = {"forbidden": _forbidden, "unknown": _unknown, "keys": _no_keys}
