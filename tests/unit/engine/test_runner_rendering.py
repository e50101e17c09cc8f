"""What a worker gives the templates of a task: the time and the identity of the handler's call."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest
from msgspec.structs import replace

from flowengine import jsonvalue
from flowengine.engine.ports import Invoker, Redactor, RunningStore, Start
from flowengine.engine.running.node_context import Environment
from flowengine.engine.running.runner import Runner
from flowengine.execution.messages import RunNode
from flowengine.execution.reports import Completed
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Context, Handler, Registry, handler
from flowengine.plugin.registry import marked
from flowengine.settings import Limits
from tests.support.rigs.harness import NoSecrets
from tests.unit.engine.tasks import task

MOMENT = 1_772_355_723_004


class AnyConfig(msgspec.Struct):
    """A config that is never looked at."""


@handler("quick")
def quick(config: AnyConfig, context: Context) -> None:
    """Never called."""


class Echo(NoSecrets):
    """An Invoker whose handlers return their config and their key; a Redactor that knows no secret."""

    def invoke(self, handler: Handler, config: JsonValue, context: Context) -> object:
        """The config and the key."""
        return [config, context.idempotency_key]


def rendered(given: RunNode, *, now: int, delivery: int = 1) -> tuple[list[str], str]:
    """What the task's templates give a delivery that begins at `now`, and the key of its call."""
    registry, echo = Registry(), Echo()
    known = marked(quick)
    assert known is not None
    registry.add(known)
    runner = Runner(
        cast(RunningStore, None),
        registry,
        cast(Invoker, echo),
        cast(Redactor, echo),
        Limits(),
        Environment(http=lambda: None, async_http=lambda: None, setting=lambda name: None),  # type: ignore[arg-type, return-value]  # no handler calls them
        lambda: now,
    )
    config = msgspec.Raw(
        jsonvalue.encode({"now": "{{ now() }}", "id": "{{ uuid() }}", "day": "{{ today() }}"})
    )
    outcome = runner.outcome(replace(given, config=config), Start(True, {}, None, now), delivery, 1e12)
    assert isinstance(outcome, Completed), outcome
    fields, key = msgspec.json.decode(outcome.result, type=tuple[dict[str, str], str])
    return [fields["now"], fields["day"], fields["id"]], key


@pytest.mark.proves("call-repeated")
def test_another_delivery_or_dispatch_renders_the_same() -> None:
    """Whenever it begins: the time is that of the task, the identity that of the idempotency key."""
    first = replace(task("a"), moment=MOMENT)
    told, key = rendered(first, now=MOMENT + 20)
    assert told[:2] == ["2026-03-01T09:02:03.004Z", "2026-03-01"]
    assert rendered(first, now=MOMENT + 90_000, delivery=2) == (told, key)
    assert rendered(replace(first, run=2, dispatch=2, attempt=2), now=MOMENT + 90_000) == (told, key)


def test_what_is_asked_anew_renders_another_identity() -> None:
    """As it has another idempotency key."""
    first = replace(task("a"), moment=MOMENT)
    others = [first, replace(first, answered=1), replace(first, node="b"), replace(first, execution="f")]
    found = [rendered(each, now=MOMENT) for each in others]
    assert len({told[2] for told, _ in found}) == len({key for _, key in found}) == 4


def test_task_that_names_no_moment_has_that_of_its_start() -> None:
    """An earlier version has sent it."""
    told, _ = rendered(task("a"), now=MOMENT)
    assert told[0] == "2026-03-01T09:02:03.004Z"
