"""One node as it is shown, on a real server: what the engine has stored of it by then."""

from __future__ import annotations

import msgspec

from flowengine.plugin import Context, HandlerError
from tests.support.checks.reference_model import Says
from tests.support.rigs.harness import Harness, plan_of

GRAPH = {"a": (), "b": ("a",)}


def test_each_try_is_shown_until_the_node_completes(harness: Harness) -> None:
    """A node that waits has its failed try; one that has completed has both, and its result."""

    def script(context: Context) -> None:
        if context.node_id == "b" and context.attempt == 1:
            raise HandlerError("boom", "on purpose")

    harness.script = script
    execution = harness.begin(plan_of(GRAPH, says={"b": Says(tries=2)}))
    node = harness.api.executions.node
    waiting = node(execution, "b")
    assert (waiting.status, waiting.attempts) == ("pending", ())
    assert waiting.config_error == "it reads 'a', which has not ended: it is pending"
    harness.drain()
    shown = node(execution, "b")
    first, second = shown.attempts
    assert first.error is not None
    assert (first.attempt, first.error.code, second.attempt, second.error) == (1, "boom", 2, None)
    assert (shown.status, shown.error) == ("completed", None)
    assert (second.started_at, second.finished_at) == (shown.started_at, shown.finished_at)
    assert first.started_at is not None
    assert second.queued_at is not None
    assert first.started_at <= second.queued_at
    assert msgspec.json.decode(shown.config)["inputs"] == [1]
    assert shown.result == msgspec.Raw(b'{"result":2}')


def test_node_that_waits_for_its_next_try_shows_the_last_one_once(harness: Harness) -> None:
    """It is kept already, and the record tells of it as well."""

    def script(context: Context) -> None:
        raise HandlerError("boom", "on purpose")

    harness.script = script
    execution = harness.begin(plan_of({"a": ()}, says={"a": Says(tries=2)}))
    harness.start_executions()
    (task,) = harness.tasks()
    harness.deliver(harness.workers[0], task)
    for entry in harness.waiting("orchestrator"):
        harness.deliver(harness.orchestrators[0], entry)
    shown = harness.api.executions.node(execution, "a")
    assert shown.status == "waiting"
    assert [(each.attempt, each.error) for each in shown.attempts] == [(1, shown.error)]
