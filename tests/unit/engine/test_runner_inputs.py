"""What a worker makes of inputs: read by templates, hidden where they are secret."""

from __future__ import annotations

from typing import cast

import msgspec
import pytest

from flowengine.engine.held import Held, Receipt
from flowengine.engine.ports import NOTHING_GIVEN, Given, RunningStore, Start
from flowengine.engine.running.runner import Runner
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.execution.messages import RunNode, format_of
from flowengine.execution.records import ExecutionRecord
from flowengine.execution.reports import Completed, Failed, Outcome, Skipped
from flowengine.handlers.secrets.redaction import Secrets
from flowengine.plugin import Context, HandlerError, Registry, handler
from flowengine.settings import Limits
from flowengine.stored_format import CORE_FORMAT, FORMAT
from tests.support.rigs.harness import NO_CALLS, ScriptedInvoker
from tests.unit.engine.tasks import task

TOKEN = "correct-horse-battery"
RECORD = ExecutionRecord("running", 3, 1, 1_000, 2_000, 0, "corr", "Report", "t", labels={"team": "data"})


class Value(msgspec.Struct):
    """A config of one value."""

    value: object = None


class Handlers:
    """What the worker knows."""

    @handler("echo")
    @staticmethod
    def echo(config: Value, context: Context) -> object:
        """The value."""
        return {"result": config.value}

    @handler("fail")
    @staticmethod
    def fail(config: Value, context: Context) -> object:
        """Fails with the value."""
        raise HandlerError("refused", f"the service says {config.value}")


def runner(secrets: Secrets) -> Runner:
    """A worker's runner."""
    registry = Registry()
    registry.collect(Handlers)
    invoker = ScriptedInvoker(lambda context: None)
    return Runner(cast(RunningStore, None), registry, invoker, secrets, Limits(), NO_CALLS, lambda: 0)


def reading(value: str, *, when: str | None = None, name: str = "echo", given: tuple[str, ...]) -> RunNode:
    """A task whose config is this value."""
    config = msgspec.Raw(msgspec.json.encode({"value": value}))
    return msgspec.structs.replace(task("n", handler=name), config=config, when=when, given=given)


def outcome(what: RunNode, given: Given, secrets: Secrets | None = None) -> Outcome:
    """What running the task gives."""
    start = Start(True, {}, 10_000, 5, given=given)
    hand = TaskInHand(Held(what, 1, "1-0/me", cast(Receipt, None)), start)
    return runner(secrets or Secrets({})).outcome_of(hand, start)


def inputs(**values: object) -> Given:
    """Inputs as they are stored."""
    return Given(msgspec.json.encode(values))


@pytest.mark.parametrize(
    ("template", "gives"),
    [
        ("{{ inputs.a }}", {"b": [1]}),
        ("{{ inputs.a.b[0] }}", 1),
        ("x{{ inputs.n }}", "xnull"),
        ("{{ inputs }}", {"a": {"b": [1]}, "n": None}),
        ("{{ inputs.no | default('none') }}", "none"),
        ("{{ inputs['a'] | tojson }}", '{"b":[1]}'),
    ],
)
def test_templates_read_inputs(template: str, gives: object) -> None:
    """Whole expressions keep their type."""
    done = outcome(reading(template, given=("inputs",)), inputs(a={"b": [1]}, n=None))
    assert isinstance(done, Completed)
    assert msgspec.json.decode(done.result) == {"result": gives}


def test_an_input_that_is_not_there_fails_the_node_and_names_those_that_are() -> None:
    """Of a workflow that declares none, any may be missing."""
    failed = outcome(reading("{{ inputs.dya }}", given=("inputs",)), inputs(day=1))
    assert isinstance(failed, Failed)
    assert failed.error.code == "template_undefined"
    assert "inputs has no field 'dya'; its fields are: day" in failed.error.message


def test_an_execution_without_inputs_has_none() -> None:
    """`default` helps."""
    done = outcome(reading("{{ inputs.x | default(1) }}", given=("inputs",)), NOTHING_GIVEN)
    assert done == Completed(msgspec.Raw(b'{"result":1}'))


def test_templates_read_what_the_execution_says_of_itself() -> None:
    """Times as everywhere; the run is that of the task."""
    template = "{{ execution }}"
    done = outcome(reading(template, given=("execution",)), Given(execution=RECORD))
    assert isinstance(done, Completed)
    assert msgspec.json.decode(done.result)["result"] == {
        "id": "e",
        "name": "Report",
        "run": 1,
        "created_at": "1970-01-01T00:00:01.000Z",
        "started_at": "1970-01-01T00:00:02.000Z",
        "correlation_id": "corr",
        "labels": {"team": "data"},
        "version": None,
        "group_id": None,
        "scheduled_at": None,
    }


def test_a_condition_reads_inputs() -> None:
    """It is rendered in the same scope."""
    what = reading("1", when="{{ inputs.go }}", given=("inputs",))
    assert outcome(what, inputs(go=False)) == Skipped()
    assert isinstance(outcome(what, inputs(go=True)), Completed)


def test_a_task_that_reads_what_is_given_is_no_message_of_format_2() -> None:
    """A worker of that format would render it without."""
    assert format_of(reading("1", given=())) == CORE_FORMAT
    assert format_of(reading("1", given=("inputs",))) == FORMAT


# -- vars


def test_templates_read_vars() -> None:
    """As they were stored."""
    given = Given(vars=b'{"base":"http://x","n":[1]}')
    done = outcome(reading("{{ vars.base }}/{{ vars.n[0] }}", given=("vars",)), given)
    assert done == Completed(msgspec.Raw(b'{"result":"http://x/1"}'))


@pytest.mark.proves("secret-input-shown")
def test_a_var_with_a_secret_is_made_where_it_is_read_and_hidden() -> None:
    """Of the worker's secrets, the inputs, the execution and other vars."""
    secrets = Secrets({"FLOWENGINE_SECRET_API": "key-of-the-worker"})
    late = {
        "key": "{{ secrets.API }}/{{ execution.id }}",
        "auth": ["{{ vars.key }} {{ inputs.token }} {{ vars.n }}"],
        "missing": "{{ secrets.NOT_THERE }}",
    }
    given = Given(
        inputs=msgspec.json.encode({"token": TOKEN}),
        secret=("token",),
        vars=b'{"n":1}',
        late=msgspec.json.encode(late),
        execution=RECORD,
    )
    what = reading("{{ vars.auth }}", given=("execution", "inputs", "vars"))
    assert outcome(what, given, secrets) == Completed(msgspec.Raw(b'{"result":["***/e *** 1"]}'))
    failed = outcome(reading("{{ vars.missing }}", given=("inputs", "vars")), given, secrets)
    assert isinstance(failed, Failed)
    assert failed.error.code == "secret_missing"


# -- secret inputs


def secret_inputs(**others: object) -> Given:
    """A secret input, and others."""
    return Given(msgspec.json.encode({"token": TOKEN, **others}), secret=("token",))


@pytest.mark.proves("secret-input-shown")
def test_a_secret_input_is_hidden_in_results() -> None:
    """Whole, in a text, and as base64, whatever the handler does with it."""
    for template in ("{{ inputs.token }}", "Bearer {{ inputs.token }}", "{{ inputs.token | b64encode }}"):
        done = outcome(reading(template, given=("inputs",)), secret_inputs())
        assert isinstance(done, Completed)
        assert b"***" in bytes(done.result)
        assert TOKEN.encode() not in bytes(done.result)


@pytest.mark.proves("secret-input-shown")
def test_a_secret_input_is_hidden_in_errors() -> None:
    """As a service repeats it."""
    failed = outcome(reading("{{ inputs.token }}", name="fail", given=("inputs",)), secret_inputs())
    assert isinstance(failed, Failed)
    assert failed.error.message == "the service says ***"


@pytest.mark.proves("secret-input-shown")
def test_a_node_that_reads_no_input_hides_the_secrets_of_its_execution() -> None:
    """A service may repeat to it what another node has sent."""
    done = outcome(reading(f"from elsewhere: {TOKEN}", given=("inputs",)), secret_inputs())
    assert done == Completed(msgspec.Raw(b'{"result":"from elsewhere: ***"}'))


def test_secrets_of_many_executions_are_not_kept_for_good() -> None:
    """Each is searched for in every result: a worker must not become slower with each execution."""
    secrets = Secrets({"FLOWENGINE_SECRET_A": "kept-for-good"})
    for number in range(200):
        with secrets.hiding([f"{TOKEN}-{number}"]):
            assert secrets.redact(f"{TOKEN}-{number}") == "***"
    assert secrets.redact(f"{TOKEN}-0 kept-for-good") == f"{TOKEN}-0 ***"
    assert secrets.redact(f"{TOKEN}-199") == "***"


def test_a_secret_stays_hidden_while_another_node_has_it() -> None:
    """Two nodes of an execution run side by side."""
    secrets = Secrets({})
    with secrets.hiding([TOKEN]):
        for number in range(100):
            with secrets.hiding([TOKEN, f"other-secret-{number}"]):
                pass
        assert secrets.redact(TOKEN) == "***"


@pytest.mark.proves("secret-input-altered")
def test_a_prompt_with_a_secret_input_is_refused_by_the_worker_too() -> None:
    """The API may have been told to allow it."""

    class Model:
        @handler("model", no_secrets_in=("value",))
        @staticmethod
        def model(config: Value, context: Context) -> object:
            """Reads a prompt."""
            return {}

    registry = Registry()
    registry.collect(Model)
    invoker = ScriptedInvoker(lambda context: None)
    worker = Runner(cast(RunningStore, None), registry, invoker, Secrets({}), Limits(), NO_CALLS, lambda: 0)
    what = reading("{{ inputs.token }}", name="model", given=("inputs",))
    start = Start(True, {}, 10_000, 5, given=secret_inputs())
    failed = worker.outcome_of(TaskInHand(Held(what, 1, "1-0/me", cast(Receipt, None)), start), start)
    assert isinstance(failed, Failed)
    assert failed.error.code == "secret_not_allowed"
