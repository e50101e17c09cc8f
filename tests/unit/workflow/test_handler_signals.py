"""Handlers that declare for which signals their nodes wait: what is read of it, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from flowengine.plugin import Context, Registry, Wait, handler
from flowengine.plugin.registry import marked
from flowengine.settings import Limits
from flowengine.workflow import Checked, check_document
from flowengine.workflow.waits.wait_policy import WaitPolicy
from tests.support.documents import JsonObject, catalog, only, reading, workflow


class Charge(msgspec.Struct):
    """What to charge."""

    amount: int


class Payment(msgspec.Struct):
    """What the signals carry."""

    id: str


@handler("charge", signals=["paid", "refused"], payload=Payment)
def charge(config: Charge, context: Context) -> Wait:
    """Waits for the payment."""
    return Wait("paid")


@handler("confirm", signals=[])
async def confirm(config: Charge, context: Context) -> Wait | dict[str, int]:
    """Waits to be confirmed, where it is much."""
    return Wait() if config.amount > 100 else {"result": config.amount}


def checked(*nodes: JsonObject) -> Checked:
    """What is said of a document of these nodes."""
    registry = Registry()
    for each in (*catalog(), marked(charge), marked(confirm)):
        assert each is not None
        registry.add(each)
    return check_document(workflow(*nodes), registry, Limits())


def charging(name: str = "charge") -> JsonObject:
    """A node that may wait."""
    return {"id": "pay", "handler": name, "config": {"amount": 7}}


def policy_of(*nodes: JsonObject) -> WaitPolicy | None:
    """What the first of these nodes waits for."""
    plan = checked(*nodes).plan
    assert plan is not None
    return plan.policy(0).waits


def test_signals_are_known_from_the_handler() -> None:
    """Their names, and what they carry; without names it is that of the node."""
    found = policy_of(charging())
    assert found is not None
    assert (found.kind, found.names, found.several) == ("signal", ("paid", "refused"), True)
    assert found.schema is not None
    assert msgspec.json.decode(found.schema)["$defs"]["Payment"]["required"] == ["id"]
    assert policy_of(charging("confirm")) == WaitPolicy("signal", names=("pay",))


def test_nodes_inside_groups_wait_too() -> None:
    """Their plan knows the signals."""
    plan = checked({"id": "all", "nodes": [charging()]}).plan
    assert plan is not None
    assert plan.group_at((0,)).signal_names == ("paid", "refused")


def test_templates_read_what_a_signal_carries() -> None:
    """Where the handler always waits, other fields than `result` and `timed_out` are refused."""
    for text in ("{{ pay.result.id }}", "{{ pay.timed_out }}"):
        assert checked(charging(), reading("show", text, "pay")).problems == ()
    assert only(checked(charging(), reading("show", "{{ pay.amount }}", "pay"))).code == "unknown_field"
    assert checked(charging("confirm"), reading("show", "{{ pay.amount }}", "pay")).problems == ()


@pytest.mark.parametrize(
    ("fields", "code", "place"),
    [
        ({"cache": {"ttl_seconds": 60}}, "not_with_cache", "/nodes/0/cache"),
        ({"output_schema": {"type": "object"}}, "not_with_wait", "/nodes/0/output_schema"),
        ({"wait_for_callback": {}}, "not_with_callback", "/nodes/0/wait_for_callback"),
    ],
)
def test_what_such_a_node_cannot_be_as_well_is_refused(fields: JsonObject, code: str, place: str) -> None:
    """Each with its place."""
    problem = only(checked({**charging(), **fields}))
    assert (problem.code, problem.pointer) == (code, place)


def test_signals_of_one_name_carry_the_same() -> None:
    """Those of handlers, and those of nodes of the handler `signal`."""
    other: JsonObject = {"id": "hear", "handler": "signal", "config": {"name": "paid"}}
    assert only(checked(charging(), other)).code == "signal_schema_differs"


def test_a_wait_that_is_annotated_has_to_be_declared() -> None:
    """When the module is loaded, not once the node runs."""

    def forgets(config: Charge, context: Context) -> Wait | None:
        """Waits."""

    with pytest.raises(TypeError, match=r"declare for what, @handler\('forgets', signals="):
        handler("forgets")(forgets)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"signals": "paid"}, "list of names"),
        ({"signals": ["a b"]}, "no name of a signal"),
        ({"signals": ["paid"], "primary": "data"}, "'primary' is 'result' too"),
        ({"signals": ["paid"], "payload": dict}, "msgspec.Struct"),
    ],
)
def test_what_cannot_be_declared_is_refused(said: dict[str, Any], words: str) -> None:
    """With words that say what to write."""

    def waits(config: Charge, context: Context) -> Wait:
        """Waits."""
        return Wait()

    with pytest.raises(TypeError, match=words):
        handler("waits", **said)(waits)


@pytest.mark.parametrize(
    "said",
    [
        {"signal": ""},
        {"signal": ()},
        {"signal": [""]},
        {"timeout_seconds": 0.5},
        {"timeout_seconds": float("nan")},
        {"timeout_seconds": 31 * 86_400},
        {"on_timeout": "go"},
    ],
)
def test_what_is_no_wait_is_refused(said: dict[str, Any]) -> None:
    """Where it is made, in the handler."""
    with pytest.raises(ValueError, match="Wait takes"):
        Wait(**said)
