"""The table of messages: every payload has its row, its actor and its way to bytes and back."""

from __future__ import annotations

from typing import Any, Final, cast, get_args
from unittest.mock import create_autospec

import msgspec
import pytest

from flowengine.bootstrap import build_broker
from flowengine.broker.broker import StreamsBroker
from flowengine.broker.streams.wire import ACTOR, UndecodablePayloadError, decode, post
from flowengine.engine.advancing.orchestrator import Orchestrator
from flowengine.engine.delivering.sender import Sender
from flowengine.engine.running.quick_group import QuickGroups
from flowengine.engine.running.runner import Runner
from flowengine.execution.delivery.records import DeliveryAttempt
from flowengine.execution.limits.lines import Pace
from flowengine.execution.messages import (
    MESSAGES,
    Callback,
    CopyResults,
    Deadline,
    DeleteExecution,
    DeliverResults,
    DeliveryAttempted,
    DeliveryDue,
    HooksTimeout,
    Item,
    ItemTry,
    KeepChildren,
    LineMoved,
    MapOver,
    NextTry,
    NodeOverruled,
    Payload,
    Read,
    ResumeExecution,
    RunBulk,
    RunNode,
    RunTimeout,
    ScheduleDue,
    SignalKept,
    StartExecution,
    StartFollowers,
    StartsDue,
    StopExecution,
    StopOverdue,
    TendChild,
    TendChildren,
    WaitOver,
    format_of,
    kind_of,
)
from flowengine.execution.records import NodeError, Repeated
from flowengine.execution.reports import (
    Again,
    ByChild,
    ByDeadline,
    ByDelivery,
    ByEngine,
    ByEvent,
    Cancelled,
    Child,
    Completed,
    Expanded,
    Failed,
    ItemsEnded,
    KeysMade,
    Outcome,
    Reporter,
    Skipped,
    Waiting,
)
from flowengine.orchestrator import actors as orchestrator_actors
from flowengine.orchestrator.process import POLICIES
from flowengine.orchestrator.rare_steps import RareSteps
from flowengine.plugin.errors import AttemptError
from flowengine.queues import ORCHESTRATOR_QUEUE, WORKER_QUEUE
from flowengine.settings import Settings
from flowengine.worker import actors as worker_actors
from flowengine.workflow.children.group import Outer
from flowengine.workflow.limits.declared import KeyTemplates
from flowengine.workflow.repeating.repeat import Repeat

TASK: Final = RunNode(
    execution="x",
    run=2,
    node="a",
    dispatch=7,
    attempt=3,
    handler="compute",
    config=msgspec.Raw(b'{"a":"{{ b.result }}"}'),
    reads=(Read("b", "data"), Read("c")),
    timeout_ms=1500,
    correlation_id="c",
)


def callback(by: Reporter, outcome: Outcome) -> Callback:
    """A report."""
    return Callback(
        execution="x",
        run=2,
        node="a",
        dispatch=7,
        attempt=3,
        by=by,
        finished_at=1_795_525_433_000,
        outcome=outcome,
        correlation_id="c",
    )


COMPLETED: Final = Completed(msgspec.Raw(b'{"result":[1,2.5,null,"\\u00e9"]}'))
FAILED: Final = Failed(
    NodeError("boom", "on purpose", attempts=2, errors=(AttemptError(code="timeout", message="slow"),))
)
INHERITED: Final = Failed(NodeError("upstream_failed", "not run", caused_by="b", attempts=0))

PAYLOADS: Final[dict[str, Payload]] = {
    "start": StartExecution(execution="x", run=2, correlation_id="c", nodes=4),
    "task": TASK,
    "task that reads nothing": msgspec.structs.replace(TASK, reads=()),
    "completed": callback(ByDelivery(2, 5), COMPLETED),
    "completed, unnoted": callback(ByDelivery(1, 5, noted=False), COMPLETED),
    "failed": callback(ByDelivery(2, 5), FAILED),
    "inherited": callback(ByDelivery(2, 5), INHERITED),
    "timed out": callback(ByDeadline(5), FAILED),
    "timed out, never begun": callback(ByDeadline(), FAILED),
    "lost": callback(ByEngine(3), FAILED),
    "deadline": Deadline(execution="x", run=2, node="a", dispatch=7),
}
"""What processes of format 2 understand too."""

NEWER: Final[dict[str, Payload]] = {
    "task with a condition": msgspec.structs.replace(TASK, when="{{ b.result > 1 }}"),
    "task that sees a fate": msgspec.structs.replace(TASK, sees=("b",)),
    "task that began early": msgspec.structs.replace(TASK, unseen=("b",)),
    "task that is tried once": msgspec.structs.replace(TASK, tries_once=True),
    "task with a schema": msgspec.structs.replace(TASK, output_schema='{"type":"object"}'),
    "task with a condition for another try": msgspec.structs.replace(TASK, retry_when="{{ attempt < 3 }}"),
    "task of an iteration": msgspec.structs.replace(
        TASK,
        repeat=Repeat("{{ a.done }}", delay_s="{{ a.wait }}", max_s=60),
        repeated=Repeated(3, 2, 0, 5, 7, delayed=True),
    ),
    "skipped": callback(ByDelivery(2, 5), Skipped()),
    "iterated": callback(ByDelivery(2, 5), Again(msgspec.Raw(b"null"), 5000)),
    "iterated, and nothing kept": callback(ByDelivery(2, 5), Again()),
    "exhausted": callback(ByDelivery(2, 5), Again(exhausted="max_seconds")),
    "failed for good": callback(ByDelivery(2, 5), msgspec.structs.replace(FAILED, permanent=True)),
    "failed, asked to wait": callback(ByDelivery(2, 5), msgspec.structs.replace(FAILED, retry_after_ms=0)),
    "failed, not to be tried again": callback(ByDelivery(2, 5), msgspec.structs.replace(FAILED, again=False)),
    "failed, and nobody can say": callback(
        ByDelivery(2, 5), msgspec.structs.replace(FAILED, again=NodeError("when_not_boolean", "m"))
    ),
    "task that expands": msgspec.structs.replace(TASK, expands=True, item_name="row"),
    "task that reads a map": msgspec.structs.replace(TASK, maps=("b",)),
    "task of an item": msgspec.structs.replace(TASK, item=Item(3, 2, "k", msgspec.Raw(b'{"a":1}'), "row")),
    "expanded": callback(ByDelivery(2, 5), Expanded((msgspec.Raw(b"1"),), ("k",), 3, 4)),
    "items ended": callback(ByEngine(0), ItemsEnded(3, 1, NodeError("map_failed", "m"), 4096)),
    "item completed": msgspec.structs.replace(callback(ByDelivery(2, 5), COMPLETED), item=ItemTry(3, 2)),
    "deadline of an item": Deadline(execution="x", run=2, node="a", dispatch=7, item=ItemTry(3, 2)),
    "waiting": callback(ByDelivery(2, 5), Waiting("later", after_ms=60_000)),
    "wait over": callback(ByEvent(), COMPLETED),
    "timer of a wait": WaitOver(execution="x", run=2, node="a", dispatch=7, waits="later"),
    "task of a child": msgspec.structs.replace(
        TASK, chain=("w", "v"), outer=(Outer(1, "n", "data", True, False),)
    ),
    "task that opens": msgspec.structs.replace(TASK, opens=True),
    "opened": callback(ByDelivery(2, 5), Child()),
    "task that makes keys": msgspec.structs.replace(TASK, keys=KeyTemplates("{{ b.result }}")),
    "keys made": callback(ByDelivery(2, 5), KeysMade(None, "crm-7")),
    "ended by its child": callback(ByChild(5), COMPLETED),
    "tend child": TendChild(execution="x", node="a", child="y", run=2, correlation_id="c"),
    "tend children": TendChildren(execution="x", run=2, correlation_id="c"),
    "keep children": KeepChildren(execution="x", run=2, correlation_id="c"),
    "next try": NextTry(execution="x", run=2, node="a", dispatch=7),
    "cancelled": callback(ByDelivery(2, 5), Cancelled()),
    "stop": StopExecution(execution="x", run=2, correlation_id="c"),
    "bulk": RunBulk(bulk="y", step=2, correlation_id="c"),
    "delete": DeleteExecution(execution="x", run=2, correlation_id="c"),
    "copy": CopyResults(execution="x", first=50, correlation_id="c"),
    "overruled": NodeOverruled(execution="x", run=2, node="a", correlation_id="c"),
    "signal": SignalKept(execution="x", run=2, correlation_id="c"),
    "line": LineMoved(line="s:a", execution="x", run=2, correlation_id="c"),
    "resume": ResumeExecution(execution="x", run=2, correlation_id="c"),
    "map over": MapOver(execution="x", run=2, node="a", dispatch=3),
    "run timeout": RunTimeout(execution="x", run=2),
    "stop overdue": StopOverdue(execution="x", run=2),
    "hooks timeout": HooksTimeout(execution="x", run=2),
    "delivery": DeliverResults(execution="x", run=2, number=3, correlation_id="c"),
    "schedule due": ScheduleDue(name="nightly", schedule="default", noticed=5),
    "schedule told of an end": ScheduleDue(name="nightly", schedule="default"),
    "an end": StartFollowers(execution="x", run=2, correlation_id="c"),
    "delivery attempted": DeliveryAttempted(
        execution="x",
        run=2,
        number=3,
        correlation_id="c",
        attempt=DeliveryAttempt(1_795_525_433_000, 12, 503, "busy"),
        retry_after_ms=5000,
    ),
    "delivery due": DeliveryDue(execution="x", run=2, number=3),
    "starts due": StartsDue(line="r:api"),
    "task whose start counts": msgspec.structs.replace(TASK, pace=Pace("r:api", 60, 60_000, 7)),
}
"""What only processes of format 3 understand."""

ALL_PAYLOADS: Final = {**PAYLOADS, **NEWER}


class Sent:
    """A sink that keeps what is sent."""

    def __init__(self) -> None:
        self.commands: list[tuple[Any, ...]] = []

    def execute_command(self, *args: object) -> None:
        """One command."""
        self.commands.append(args)


def declared() -> dict[str, str]:
    """The actors that the services declare, and their queues."""
    found: dict[str, str] = {}
    for declare in (_declare_orchestrator, _declare_worker):
        broker = build_broker(Settings(), {})
        declare(broker)
        found |= {name: actor.queue_name for name, actor in broker.actors.items()}
    return found


def _declare_orchestrator(broker: StreamsBroker) -> None:
    orchestrator_actors.declare(
        broker,
        create_autospec(Orchestrator, instance=True),
        create_autospec(RareSteps, instance=True),
    )


def _declare_worker(broker: StreamsBroker) -> None:
    worker_actors.declare(
        broker, cast(Runner, None), cast(QuickGroups, None), cast(Sender, None), WORKER_QUEUE
    )


# -- the table


def test_every_payload_has_one_row() -> None:
    """And every row a payload that can be sent."""
    assert [kind.payload for kind in MESSAGES] == list(get_args(Payload))
    for payload in ALL_PAYLOADS.values():
        assert kind_of(payload).payload is type(payload)


def test_every_row_says_who_sends_it() -> None:
    """In words, for readers of the table."""
    assert all(kind.sender for kind in MESSAGES)


def test_the_services_declare_the_actors_of_the_table_and_no_other() -> None:
    """A message without an actor would wait for ever, an actor without a message never run."""
    assert set(declared()) == {kind.actor for kind in MESSAGES}


def test_every_actor_serves_the_queue_that_the_table_names() -> None:
    """A task's queue is its handler's."""
    queues = declared()
    for kind in MESSAGES:
        assert queues[kind.actor] == (kind.queue or WORKER_QUEUE)
        assert (kind.queue is None) == (kind.payload is RunNode)


def test_every_actor_has_a_policy_of_the_broker() -> None:
    """Without one its messages would be acknowledged by the broker, whatever became of them."""
    assert set(POLICIES) == {kind.actor for kind in MESSAGES if kind.queue == ORCHESTRATOR_QUEUE}


# -- to bytes and back


@pytest.mark.parametrize("name", ALL_PAYLOADS)
def test_every_payload_survives_the_way_to_its_actor(name: str) -> None:
    """Sent by the table in the oldest format that can say it, and decoded for the actor of the message."""
    payload, sink = ALL_PAYLOADS[name], Sent()
    field = b"p3" if name in NEWER else b"p2"
    post(sink, "q", payload)
    ((command, stream, entry, *fields),) = sink.commands
    assert (command, stream, entry) == ("XADD", "fe:q:q", "*")
    assert (fields[0], fields[1], fields[2]) == (ACTOR, kind_of(payload).actor, field)
    assert decode(kind_of(payload).actor, fields[3]) == payload


def test_each_kind_of_payload_is_tried() -> None:
    """Nobody adds one and forgets it here."""
    assert {type(payload) for payload in ALL_PAYLOADS.values()} == set(get_args(Payload))
    reports = [payload for payload in ALL_PAYLOADS.values() if isinstance(payload, Callback)]
    assert {type(report.by) for report in reports} == set(get_args(Reporter))
    assert {type(report.outcome) for report in reports} == set(get_args(Outcome))


@pytest.mark.parametrize("actor", [kind.actor for kind in MESSAGES])
@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b'"\xff"', b"[" * 100_000, b'{"execution":1}'])
def test_what_is_no_payload_is_refused(actor: str, data: bytes) -> None:
    """By one error, whatever is wrong with it."""
    with pytest.raises(UndecodablePayloadError):
        decode(actor, data)


def test_a_config_and_a_result_are_sent_as_they_are() -> None:
    """Nothing decodes them on the way."""
    assert b'"config":{"a":"{{ b.result }}"}' in msgspec.json.encode(TASK)
    assert bytes(COMPLETED.result) in msgspec.json.encode(callback(ByDelivery(1, 5), COMPLETED))


# -- formats


def test_each_message_names_the_oldest_format_that_can_say_it() -> None:
    """Older processes put off what they cannot understand, and nothing else."""
    assert {name for name, payload in ALL_PAYLOADS.items() if format_of(payload) != 2} == set(NEWER)
    assert {format_of(payload) for payload in NEWER.values()} == {3}


def test_a_task_that_uses_nothing_new_is_byte_for_byte_what_it_was() -> None:
    """So that processes of format 2 run it."""
    assert msgspec.json.encode(TASK) == (
        b'{"execution":"x","run":2,"node":"a","dispatch":7,"attempt":3,"handler":"compute",'
        b'"config":{"a":"{{ b.result }}"},"reads":[["b","data"],["c",null]],"timeout_ms":1500,'
        b'"correlation_id":"c"}'
    )


def test_a_report_that_uses_nothing_new_is_byte_for_byte_what_it_was() -> None:
    """Completed or failed."""
    head = b'{"execution":"x","run":2,"node":"a","dispatch":7,"attempt":3,"by":["delivery",2,5,true],'
    times = b'"finished_at":1795525433000,"outcome":'
    completed = b'{"outcome":"completed","result":{"result":[1,2.5,null,"\\u00e9"]}}'
    failed = (
        b'{"outcome":"failed","error":{"code":"boom","message":"on purpose","caused_by":null,"attempts":2,'
        b'"errors":[{"code":"timeout","message":"slow","after_s":null}]}}'
    )
    for name, outcome in (("completed", completed), ("failed", failed)):
        expected = head + times + outcome + b',"correlation_id":"c"}'
        assert msgspec.json.encode(PAYLOADS[name]) == expected


def test_a_timer_actor_tells_deadlines_from_pauses() -> None:
    """By the word that each carries; a deadline of format 2 has it too."""
    deadline = b'{"kind":"deadline","execution":"x","run":2,"node":"a","dispatch":7}'
    assert decode("timer_fired", deadline) == PAYLOADS["deadline"]
    assert decode("timer_fired", deadline.replace(b"deadline", b"retry")) == NEWER["next try"]
