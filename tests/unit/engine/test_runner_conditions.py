"""What a worker does with a node's condition, with what it sees of other nodes, and with failures."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import cast

import msgspec
import pytest
from msgspec.structs import replace

from flowengine.engine.held import Held, Receipt
from flowengine.engine.ports import RunningStore, Start
from flowengine.engine.running.runner import Runner
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.execution.messages import Read, RunNode
from flowengine.execution.records import NodeError, NodeRecord
from flowengine.execution.reports import Completed, Failed, Outcome, Skipped
from flowengine.plugin import Context, HandlerError, Registry, handler
from flowengine.settings import Limits
from tests.support.rigs.harness import NO_CALLS, NoSecrets, ScriptedInvoker
from tests.unit.engine.tasks import task


class Echo(msgspec.Struct):
    """A config of one value."""

    value: object = None


class Handlers:
    """What the worker knows."""

    @handler("echo")
    @staticmethod
    def echo(config: Echo, context: Context) -> object:
        """The value."""
        return {"result": config.value}


class Worker:
    """A runner whose handler's calls are kept; `fails` is raised in place of the next."""

    def __init__(self, fails: HandlerError | None = None, secrets: NoSecrets | None = None) -> None:
        self.invoker = ScriptedInvoker(self._script)
        self._fails = fails
        registry = Registry()
        registry.collect(Handlers)
        self.runner = Runner(
            cast(RunningStore, None),
            registry,
            self.invoker,
            secrets or NoSecrets(),
            Limits(),
            NO_CALLS,
            lambda: 0,
        )

    def _script(self, context: Context) -> None:
        if self._fails is not None:
            raise self._fails

    def run(
        self,
        what: RunNode,
        inputs: Mapping[str, bytes] | None = None,
        fates: Mapping[str, NodeRecord] | None = None,
    ) -> Outcome:
        """The outcome of a delivery."""
        start = Start(True, dict(inputs or {}), 10_000, 5, fates=fates or {})
        return self.runner.outcome(what, start, 1, time.monotonic() + 60)


def asking(
    when: str | None, value: str = "1", *, reads: tuple[str, ...] = (), unseen: tuple[str, ...] = ()
) -> RunNode:
    """A task with this condition and this value in its config."""
    return msgspec.structs.replace(
        task("n", handler="echo"),
        config=msgspec.Raw(msgspec.json.encode({"value": value})),
        reads=tuple([Read(name) for name in reads]),
        when=when,
        sees=reads,
        unseen=unseen,
    )


def error_of(outcome: Outcome) -> NodeError:
    """The error of a failure."""
    assert isinstance(outcome, Failed)
    return outcome.error


# -- conditions


@pytest.mark.parametrize("when", [None, "{{ true }}", "{{ 1 == 1 }}", "{{ a.result > 3 }}"])
def test_a_node_whose_condition_is_true_runs(when: str | None) -> None:
    """So does one that has none."""
    worker = Worker()
    outcome = worker.run(asking(when, reads=("a",)), {"a": b'{"result":4}'})
    assert outcome == Completed(msgspec.Raw(b'{"result":"1"}'))
    assert len(worker.invoker.calls) == 1


@pytest.mark.parametrize(
    "when", ["{{ false }}", "{{ none }}", "{{ 1 == 2 }}", "{{ a.result > 4 }}", "{{ a.x }}"]
)
def test_a_node_whose_condition_is_false_or_null_is_skipped(when: str) -> None:
    """Its handler is not called, and its config not even rendered."""
    worker = Worker()
    wrong = "{{ a.nothing.at.all }}"
    outcome = worker.run(asking(when, wrong, reads=("a",)), {"a": b'{"result":4,"x":null}'})
    assert outcome == Skipped()
    assert worker.invoker.calls == []


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        ("{{ 'false' }}", "text"),
        ("{{ 'true' }}", "text"),
        ("{{ '' }}", "text"),
        ("{{ a.result }}", "an integer"),
        ("{{ 0 }}", "an integer"),
        ("{{ 1.5 }}", "a number"),
        ("{{ [] }}", "a list"),
        ("{{ {'a': 1} }}", "an object"),
        ("{{ a }}", "an object"),
    ],
)
def test_a_condition_that_gives_something_else_fails_the_node(when: str, kind: str) -> None:
    """The text "false" must not be taken for true, nor for false."""
    worker = Worker()
    error = error_of(worker.run(asking(when, reads=("a",)), {"a": b'{"result":4}'}))
    assert error.code == "when_not_boolean"
    assert error.message == (
        f"`when` must give true, false or null, and gives {kind}: compare it with something, as in "
        "{{ a.result == 'yes' }}"
    )
    assert worker.invoker.calls == []


@pytest.mark.parametrize(
    ("when", "code"),
    [
        ("{{ a.nothing }}", "template_undefined"),
        ("{{ a.result + 'x' }}", "template_failed"),
        ("{{ a.result > }}", "template_syntax"),
    ],
)
def test_a_condition_that_cannot_be_evaluated_fails_the_node(when: str, code: str) -> None:
    """With the error of a template, and its place."""
    worker = Worker()
    error = error_of(worker.run(asking(when, reads=("a",)), {"a": b'{"result":4}'}))
    assert error.code == code
    assert worker.invoker.calls == []


# -- what it sees


FAILED = NodeRecord(
    status="failed", error=NodeError("http_client_error", "answered 404", status_code=404), tolerated=True
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{{ statuses.a }}", b'"failed"'),
        ("{{ errors.a }}", b'{"code":"http_client_error","message":"answered 404","status_code":404}'),
        ("{{ a.result | default(7) }}", b"7"),
    ],
)
def test_a_config_reads_what_became_of_a_tolerated_failure(value: str, expected: bytes) -> None:
    """It is `failed` there, with its error."""
    outcome = Worker().run(asking(None, value, reads=("a",)), fates={"a": FAILED})
    assert outcome == Completed(msgspec.Raw(b'{"result":' + expected + b"}"))


def test_an_error_without_a_status_has_none() -> None:
    """`default` gives one."""
    fate = NodeRecord(status="failed", error=NodeError("boom", "on purpose"))
    value = "{{ errors.a.status_code | default('none') }}"
    outcome = Worker().run(asking(None, value, reads=("a",)), fates={"a": fate})
    assert outcome == Completed(msgspec.Raw(b'{"result":"none"}'))


@pytest.mark.parametrize(
    ("fate", "words"),
    [
        (FAILED, "the node 'a' has no output: it failed"),
        (NodeRecord(status="skipped", skipped="when"), "the node 'a' has no output: it is skipped"),
    ],
)
def test_a_plain_read_of_what_is_missing_fails_with_what_became_of_it(fate: NodeRecord, words: str) -> None:
    """Permanently: no other try would find it."""
    outcome = Worker().run(asking(None, "{{ a.result }}", reads=("a",)), fates={"a": fate})
    error = error_of(outcome)
    assert error.code == "template_undefined"
    assert words in error.message


def test_what_had_not_ended_at_the_dispatch_is_undefined() -> None:
    """Whatever has become of it since."""
    what = asking("{{ a is undefined }}", "{{ statuses.a | default('early') }}", unseen=("a",))
    assert Worker().run(what) == Completed(msgspec.Raw(b'{"result":"early"}'))
    error = error_of(Worker().run(asking(None, "{{ a.result }}", unseen=("a",))))
    assert "the node 'a' had not ended when this one was sent to a worker" in error.message


# -- what it reports of a failure


@pytest.mark.parametrize(
    ("raised", "permanent", "retry_after_ms", "status"),
    [
        (HandlerError("boom", "m"), False, None, msgspec.UNSET),
        (HandlerError("boom", "m", permanent=True), True, None, msgspec.UNSET),
        (HandlerError("boom", "m", retry_after_s=1.5), False, 1500, msgspec.UNSET),
        (HandlerError("boom", "m", retry_after_s=0), False, 0, msgspec.UNSET),
        (HandlerError("boom", "m", retry_after_s=-1), False, None, msgspec.UNSET),
        (HandlerError("boom", "m", retry_after_s=float("nan")), False, None, msgspec.UNSET),
        (HandlerError("boom", "m", retry_after_s=float("inf")), False, 30 * 86_400_000, msgspec.UNSET),
        (HandlerError("boom", "m", retry_after_s=cast(float, "5")), False, None, msgspec.UNSET),
        (HandlerError("boom", "m", status_code=503), False, None, 503),
        (HandlerError("boom", "m", status_code=cast(int, "503")), False, None, msgspec.UNSET),
        (HandlerError("boom", "m", permanent=cast(bool, "no")), False, None, msgspec.UNSET),
    ],
)
def test_a_report_says_what_another_try_goes_by(
    raised: HandlerError, permanent: bool, retry_after_ms: int | None, status: object
) -> None:
    """Only what is what it should be: handlers are other people's code."""
    outcome = Worker(raised).run(msgspec.structs.replace(asking(None), tries_once=True))
    assert isinstance(outcome, Failed)
    assert (outcome.permanent, outcome.retry_after_ms) == (permanent, retry_after_ms)
    assert outcome.error.status_code == status


def test_a_report_that_nobody_tries_again_by_says_no_more_than_before() -> None:
    """An orchestrator of the format before understands it."""
    outcome = Worker(HandlerError("boom", "m", permanent=True, retry_after_s=1.5)).run(asking(None))
    assert outcome == Failed(NodeError("boom", "m"))


READ = Start(True, {"a": b'{"result":7}'}, 10_000, 5)


def asked(when: str, raised: HandlerError | None = None, *, start: Start = READ) -> bool | NodeError | None:
    """What the report of a failure says of another try."""
    task = msgspec.structs.replace(asking(None, reads=("a",)), retry_when=when, tries_once=True, attempt=4)
    runner = Worker(raised or HandlerError("boom", "the table is locked")).runner
    hand = TaskInHand(Held(task, 1, "1-0/me", cast(Receipt, None)), start)
    outcome = runner.callback(hand, runner.outcome(task, start, 1, time.monotonic() + 60)).outcome
    assert isinstance(outcome, Failed)
    assert outcome.error.message == (raised or HandlerError("boom", "the table is locked")).message
    return outcome.again


@pytest.mark.proves("retry-condition")
@pytest.mark.parametrize(
    ("when", "again"),
    [
        ("{{ 'locked' in error.message }}", True),
        ("{{ 'gone' in error.message }}", False),
        ("{{ error.code == 'boom' and attempt == 4 }}", True),
        ("{{ error.status_code is defined }}", False),
        ("{{ a.result == 7 }}", True),
        ("{{ none }}", False),
    ],
)
def test_a_report_says_whether_the_condition_for_another_try_holds(when: str, again: bool) -> None:
    """Over the error, the number of the try, and what the node reads."""
    assert asked(when) is again


def test_the_condition_sees_the_status_of_an_answer() -> None:
    """A number."""
    assert asked("{{ error.status_code == 423 }}", HandlerError("http", "m", status_code=423)) is True


@pytest.mark.parametrize(
    ("when", "code", "words"),
    [
        (
            "{{ error.message }}",
            "when_not_boolean",
            "`retry.when` must give true, false or null, and gives text",
        ),
        ("{{ attempt }}", "when_not_boolean", "an integer"),
        ("{{ error.status_code == 423 }}", "template_undefined", "status_code"),
        ("{{ error.message > 3 }}", "template_failed", "failed"),
    ],
)
def test_a_condition_for_another_try_without_an_answer_says_why(when: str, code: str, words: str) -> None:
    """And what the try had failed with."""
    again = asked(when)
    assert isinstance(again, NodeError)
    assert again.code == code
    assert words in again.message
    assert again.message.endswith("; the try had failed with boom: the table is locked")


@pytest.mark.proves("retry-condition")
def test_the_condition_is_asked_of_a_handler_that_hangs_too() -> None:
    """The watchdog reports it, with what the worker read at the start."""
    task = msgspec.structs.replace(
        asking(None, reads=("a",)), retry_when="{{ error.code == 'timeout' and a.result == 7 }}"
    )
    late = Failed(NodeError("timeout", "too long"))
    outcome = (
        Worker().runner.callback(TaskInHand(Held(task, 1, "1-0/me", cast(Receipt, None)), READ), late).outcome
    )
    assert outcome == msgspec.structs.replace(late, again=True)


@pytest.mark.parametrize("once", [True, False])
def test_a_handler_is_told_whether_the_engine_tries_again(once: bool) -> None:
    """Then it must not."""
    worker = Worker()
    worker.run(msgspec.structs.replace(asking(None), tries_once=once))
    assert worker.invoker.calls[0].tries_once == once


# -- what it gives, and its schema


def given(schema: Mapping[str, object], value: str) -> Outcome:
    """What becomes of a node with this schema that gives this value."""
    what = msgspec.structs.replace(asking(None, value), output_schema=msgspec.json.encode(schema).decode())
    return Worker().run(what)


@pytest.mark.parametrize("value", ["{{ {'id': 7} }}", "{{ {'id': 7, 'name': 'x'} }}"])
def test_an_output_that_matches_its_schema_completes_the_node(value: str) -> None:
    """The schema is that of the primary value, here of `result`."""
    schema = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
    assert isinstance(given(schema, value), Completed)


@pytest.mark.proves("output-not-as-said")
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{{ {'id': 'secret text'} }}", "/id: "),
        ("{{ {'name': 1} }}", "id"),
        ("{{ 'secret text' }}", "the output does not match output_schema: "),
    ],
)
def test_an_output_that_does_not_fails_it_with_the_place(value: str, words: str) -> None:
    """Permanently, and without the value, which may be anything."""
    schema = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}}
    error = error_of(given(schema, value))
    assert error.code == "output_invalid"
    assert words in error.message
    assert "secret text" not in error.message


class Hiding(NoSecrets):
    """A Redactor that knows one secret."""

    def redact(self, text: str) -> str:
        """Without it."""
        return text.replace("canary", "***")

    def redact_json(self, data: bytes) -> bytes:
        """Without it."""
        return data.replace(b"canary", b"***")


@pytest.mark.parametrize("value", ["{{ {'canary': 1} }}", "{{ {'id': 'canary'} }}", "{{ 'canary' }}"])
def test_the_message_about_a_mismatch_tells_no_secret(value: str) -> None:
    """Wherever it stands in the output: it is taken out before the schema is asked."""
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"id": {"type": "string", "maxLength": 2}},
    }
    text = msgspec.json.encode(schema).decode()
    error = error_of(Worker(secrets=Hiding()).run(replace(asking(None, value), output_schema=text)))
    assert error.code == "output_invalid"
    assert "canary" not in error.message


def test_many_mismatches_make_a_short_message() -> None:
    """Three places, and how many more."""
    error = error_of(given({"items": {"type": "string"}}, "{{ range(40) }}"))
    assert "and 37 more" in error.message
    assert len(error.message) < 1500


@pytest.mark.proves("output-not-as-said")
def test_a_schema_that_takes_too_long_to_check_fails_the_node() -> None:
    """A reference to itself doubles the work with each level of the value."""
    twice = [{"$ref": "#/$defs/t"}, {"$ref": "#/$defs/t"}]
    schema = {"$ref": "#/$defs/t", "$defs": {"t": {"anyOf": [{"items": {"anyOf": twice}}, {"type": "null"}]}}}
    nested = "[" * 20 + "1" + "]" * 20
    error = error_of(given(schema, "{{ " + nested + " }}"))
    assert error.code == "output_invalid"
