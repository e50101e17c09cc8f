"""What the worker's actor does: render one node, run it, report. Stateless, safe to run twice.

Decides nothing about what runs next. Every way in which a handler can end, but the death of the
process, becomes an outcome with a clear error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from contextlib import nullcontext
from typing import Final

import msgspec
import structlog
from msgspec.structs import replace

from flowengine import jsonvalue
from flowengine.engine.held import Held
from flowengine.engine.ports import Acknowledge, Given, Invoker, Redactor, RunningStore, Start
from flowengine.engine.running.conditions import holds, scope_after
from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.engine.running.node_context import Environment, node_context
from flowengine.engine.running.node_scope import node_scope, secret_inputs, secret_reads
from flowengine.engine.running.output_check import refuse_misfits
from flowengine.engine.running.outputs import Outputs
from flowengine.engine.running.starts import Starts
from flowengine.engine.running.stop_notices import StopNotices
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.errors import StoreUnavailableError
from flowengine.execution import error_codes as codes
from flowengine.execution.messages import Callback, RunNode
from flowengine.execution.records import NodeError
from flowengine.execution.reports import WORDS, ByDelivery, Cancelled, Completed, Failed, Outcome, Skipped
from flowengine.execution.rules.finishing import COUNTED_RESULT_BYTES
from flowengine.jsonvalue import JsonValue
from flowengine.observability.metrics import counted
from flowengine.observability.node_output import heard_by
from flowengine.plaintext import encodable_text
from flowengine.plugin import (
    Handler,
    HandlerError,
    HandlerTimeoutError,
    ModelCall,
    Registry,
)
from flowengine.plugin.errors import EndedError
from flowengine.settings import Limits
from flowengine.template import Scope, TemplateError, reads_secret, render

log = structlog.stdlib.get_logger()

MOST_ERRORS = 10
MOST_CALLS = 20
MOST_CODE_CHARS = 100
LOGGED_CHARS = 300
MOST_WAIT_S = 30 * 86_400.0


class Patience(msgspec.Struct, frozen=True):
    """For how long a worker tries to report an outcome, and how long it waits between tries, in seconds."""

    in_all_s: float = 0.0
    first_pause_s: float = 0.1
    longest_pause_s: float = 1.0


ONE_TRY = Patience()
_NOTHING_TO_HIDE: Final = nullcontext()


class Runner:
    """Runs nodes for the threads of one worker process.

    With `passes_on`, a node whose handler it does not know is left to a worker that does; else it fails.
    """

    def __init__(
        self,
        store: RunningStore,
        registry: Registry,
        invoker: Invoker,
        secrets: Redactor,
        limits: Limits,
        environment: Environment,
        clock: Callable[[], int],
        speed: HandlerSpeed | None = None,
        *,
        patience: Patience = ONE_TRY,
        passes_on: bool = False,
    ) -> None:
        self._store = store
        self._registry = registry
        self._invoker = invoker
        self._secrets = secrets
        self._limits = limits
        self._environment = environment
        self._clock = clock
        self._speed = speed or HandlerSpeed()
        self._patience = patience
        self._passes_on = passes_on
        self.stops = StopNotices(store)
        self.outputs = Outputs(store, secrets)
        self.starts = Starts(store, self._speed, clock, self.stops.is_named)
        self.running: dict[int, TaskInHand] = {}

    def run(self, held: Held[RunNode]) -> None:
        """Run one delivery of a node and report its outcome. Raises StoreUnavailableError."""
        if self._passes_on and self._registry.get(held.payload.handler) is None:
            held.pass_on()
            return
        (start,) = self.starts.of([held])
        hand = TaskInHand(held, start)
        if not start.wanted:
            self.drop(hand)
        else:
            self.report(hand, Cancelled() if start.stopping else self.outcome_of(hand, start))

    def drop(self, hand: TaskInHand) -> None:
        """Acknowledge a delivery that nobody wants any more."""
        log.info("node.unwanted", delivery=hand.delivery, **_identity(hand.task))
        hand.forget_start(self._store)
        self._store.acknowledge(hand.held.acknowledge)
        hand.held.confirm()

    def outcome_of(self, hand: TaskInHand, start: Start) -> Outcome:
        """Run the handler, under the watchdog's eyes. Raises nothing."""
        hand.began = time.monotonic()
        self.running[id(hand)] = hand
        try:
            log.debug("node.started", handler=hand.task.handler, delivery=hand.delivery)
            counted.WAIT.observe(hand.waited_s, hand.task.handler)
            secret = secret_inputs(start.given)
            with self._secrets.hiding(secret) if secret else _NOTHING_TO_HIDE:
                outcome = self.outcome(hand.task, start, hand.delivery, hand.deadline, hand)
                self.outputs.gather(hand)
            if isinstance(outcome, Failed) and hand.cancellation.requested:
                return Cancelled()
            return outcome
        finally:
            took_s = time.monotonic() - hand.began
            self._speed.observe(hand.task.handler, took_s)
            counted.RUN.observe(took_s, hand.task.handler)
            del self.running[id(hand)]

    def report(self, hand: TaskInHand, outcome: Outcome) -> bool:
        """Send the callback and acknowledge the task, unless that has been done. Returns whether it did."""
        if not hand.take():
            log.warning("node.outcome_dropped", node_id=hand.task.node, reason="already reported")
            return False
        try:
            self.send([(hand, self.callback(hand, outcome))], hand.held.acknowledge)
        except BaseException:
            hand.untake()
            raise
        hand.held.confirm()
        self.note(hand, outcome)
        return True

    def send(self, done: Sequence[tuple[TaskInHand, Callback]], acknowledge: Acknowledge) -> None:
        """Send callbacks, trying again through a short outage: the work is done, and may be dear.

        Raises StoreUnavailableError when the patience is over; then the nodes run again.
        """
        hands, callbacks = [hand for hand, _ in done], [callback for _, callback in done]
        said = self.outputs.last_of(hands)
        until, pause = time.monotonic() + self._patience.in_all_s, self._patience.first_pause_s
        while True:
            try:
                self._store.report(callbacks, acknowledge, said)
                self.outputs.is_said(hands)
                return
            except StoreUnavailableError as error:
                if time.monotonic() + pause > until:
                    raise
                log.info("node.report_delayed", error=str(error), retry_in_s=pause)
            time.sleep(pause)
            pause = min(2 * pause, self._patience.longest_pause_s)

    def callback(self, hand: TaskInHand, outcome: Outcome) -> Callback:
        """What tells the orchestrator."""
        return Callback(
            execution=hand.task.execution,
            run=hand.task.run,
            node=hand.task.node,
            dispatch=hand.task.dispatch,
            attempt=hand.task.attempt,
            by=ByDelivery(hand.delivery, hand.started_at, hand.noted),
            finished_at=self._clock(),
            outcome=self._asked(hand, outcome) if isinstance(outcome, Failed) else outcome,
            correlation_id=hand.task.correlation_id,
        )

    def _asked(self, hand: TaskInHand, failed: Failed) -> Failed:
        """The failure with what the node's `retry.when` gives for it."""
        task, error = hand.task, failed.error
        if task.retry_when is None:
            return failed
        try:
            before = node_scope(task, hand.start, self._secrets.lookup, self._limits.max_rendered_chars)
            scope = scope_after(before, error, task.attempt)
            again = holds("retry.when", task.retry_when, scope, self._limits.max_rendered_chars)
            return replace(failed, again=again)
        except (HandlerError, TemplateError) as wrong:
            text = f"{wrong}; the try had failed with {error.code}: {error.message}"
            return replace(failed, again=self._error(HandlerError(wrong.code, text)))

    def note(self, hand: TaskInHand, outcome: Outcome) -> None:
        """Count and log how the node ended."""
        counted.ATTEMPTS.add(hand.task.handler, WORDS[type(outcome)])
        fields = {**_identity(hand.task), "handler": hand.task.handler}
        if isinstance(outcome, Completed):
            log.info("node.completed", delivery=hand.delivery, **fields)
        elif isinstance(outcome, Skipped):
            log.info("node.skipped", delivery=hand.delivery, reason="when", **fields)
        elif isinstance(outcome, Cancelled):
            log.info("node.cancelled", delivery=hand.delivery, **fields)
        else:
            code, message = outcome.error.code, shortened(outcome.error.message, LOGGED_CHARS)
            log.warning("node.failed", code=code, error=message, **fields)

    def outcome(
        self, task: RunNode, start: Start, delivery: int, deadline: float, hand: TaskInHand | None = None
    ) -> Outcome:
        """What running the node gives. Raises nothing: each failure is an outcome.

        `hand`: who may ask the handler to stop, and hears what it says.
        """
        try:
            handler = self._handler(task, start)
            scope = node_scope(task, start, self._secrets.lookup, self._limits.max_rendered_chars)
            if task.when is not None and not holds("when", task.when, scope, self._limits.max_rendered_chars):
                return Skipped()
            config = self._render(task, scope, handler.no_secrets_in, start.given)
            context = node_context(task, delivery, deadline, self._environment, hand)
            with heard_by(None if hand is None else hand.output):
                output = self._invoker.invoke(handler, config, context)
            if time.monotonic() > deadline:
                raise HandlerTimeoutError(f"took longer than {task.timeout_ms / 1000:g} s")
            result = self._checked(task, output, start.storable_bytes)
            if task.output_schema is not None:
                refuse_misfits(task.output_schema.encode(), result, handler.primary)
            return Completed(msgspec.Raw(result))
        except EndedError as error:
            return self._ended(task, error, start)
        except HandlerError as error:
            if not task.tries_once:  # nobody asks, and an older orchestrator would not understand it
                return Failed(self._error(error))
            return Failed(self._error(error), error.permanent is True, _retry_after_ms(error.retry_after_s))
        except TemplateError as error:
            return Failed(self._error(HandlerError(error.code, str(error))))
        except BaseException as error:  # one that is no Exception would bring the node back, run by run
            log.error("node.crashed", exc_info=True)
            text = f"{type(error).__name__}: {error}"
            return Failed(self._error(HandlerError(codes.INTERNAL_ERROR.code, text)))

    def _ended(self, task: RunNode, ended: EndedError, start: Start) -> Failed:
        """The outcome of an `end` that says failed."""
        if ended.outputs is None:
            return Failed(self._error(ended))
        try:
            data = self._checked(task, ended.outputs, start.storable_bytes)
        except HandlerError as error:
            return Failed(self._error(error))
        return Failed(self._error(ended), outputs=msgspec.json.decode(data, type=dict[str, msgspec.Raw]))

    def _handler(self, task: RunNode, start: Start) -> Handler:
        if start.oversized:
            raise HandlerError(
                codes.INPUTS_TOO_LARGE.code,
                f"the outputs it reads are {start.oversized} bytes, the limit is "
                f"{self._limits.max_read_bytes} (FLOWENGINE_MAX_READ_BYTES): read less, or smaller ones",
            )
        handler = self._registry.get(task.handler)
        if handler is None:
            raise HandlerError(
                codes.UNKNOWN_HANDLER.code,
                f"this worker knows no handler '{task.handler}': start it with the module that has it "
                "(FLOWENGINE_HANDLERS)",
            )
        return handler

    def _render(self, task: RunNode, scope: Scope, no_secrets_in: Sequence[str], given: Given) -> JsonValue:
        config = jsonvalue.decode(bytes(task.config))
        if no_secrets_in:
            self._refuse_secrets(config, no_secrets_in, secret_reads(given))
        return render(config, scope, max_chars=self._limits.max_rendered_chars)

    def _refuse_secrets(
        self, config: JsonValue, fields: Sequence[str], given: Container[tuple[str, str]]
    ) -> None:
        """The validator refuses them too, but the API may have been told to allow them, or be older."""
        if self._limits.secrets_in_prompts or not isinstance(config, dict):
            return
        for field in fields:
            if reads_secret(config.get(field), given):
                raise HandlerError(
                    codes.SECRET_NOT_ALLOWED.code,
                    f"config.{field} reads a secret, which the service would see; the operator can allow "
                    "that on the API and the workers (FLOWENGINE_SECRETS_IN_PROMPTS)",
                )

    def _checked(self, task: RunNode, output: object, storable_bytes: int | None) -> bytes:
        try:
            data = _encoded(output)
            # Before it is searched for secrets, which takes a multiple of its size, and after.
            self._refuse_large(data)
            data = self._secrets.redact_json(data)
        except jsonvalue.UnencodableError as error:
            raise HandlerError(
                codes.UNENCODABLE_RESULT.code, f"the handler returned no JSON value: {error}"
            ) from error
        self._refuse_large(data)
        if len(data) >= COUNTED_RESULT_BYTES and len(data) > (
            self._storable_bytes(task) if storable_bytes is None else storable_bytes
        ):
            raise HandlerError(
                codes.RESULTS_TOO_LARGE.code,
                f"this result of {len(data)} bytes would take the execution's results over "
                f"{self._limits.max_execution_result_bytes} bytes (FLOWENGINE_MAX_EXECUTION_RESULT_BYTES)",
            )
        return data

    def _refuse_large(self, data: bytes) -> None:
        if len(data) > self._limits.max_result_bytes:
            raise HandlerError(
                codes.RESULT_TOO_LARGE.code,
                f"the result is {len(data)} bytes, the limit is {self._limits.max_result_bytes} "
                "(FLOWENGINE_MAX_RESULT_BYTES): return less, or store it elsewhere and return where",
            )

    def _storable_bytes(self, task: RunNode) -> int:
        try:
            return self._store.storable_bytes(task.execution)
        except StoreUnavailableError:
            # The node has run, and may have been dear: the limit is there to stop what goes on and on.
            return self._limits.max_execution_result_bytes

    def _error(self, error: HandlerError) -> NodeError:
        def redact(text: str) -> str:
            return self._secrets.redact(encodable_text(text))

        errors = tuple(
            replace(
                tried,
                code=redact(tried.code)[:MOST_CODE_CHARS],
                message=shortened(redact(tried.message), 500),
            )
            for tried in error.errors[-MOST_ERRORS:]
        )
        return NodeError(
            code=redact(error.code)[:MOST_CODE_CHARS],
            message=shortened(redact(error.message)),
            attempts=max(1, len(error.errors)),
            errors=errors,
            calls=self._calls(error) or msgspec.UNSET,
            status_code=error.status_code if isinstance(error.status_code, int) else msgspec.UNSET,
        )

    def _calls(self, error: HandlerError) -> tuple[ModelCall, ...]:
        if not error.calls:
            return ()
        try:
            data = self._secrets.redact_json(_encoded(error.calls[-MOST_CALLS:]))
            return msgspec.json.decode(data, type=tuple[ModelCall, ...])
        except (TypeError, jsonvalue.UnencodableError, msgspec.DecodeError):
            log.warning("node.calls_dropped", reason="they are no list of calls")
            return ()


def _encoded(output: object) -> bytes:
    """What the handler returned, as JSON. Raises UnencodableError, whatever code the value has of its own."""
    try:
        return jsonvalue.encode(output)
    except jsonvalue.UnencodableError:
        raise
    except BaseException as error:
        raise jsonvalue.UnencodableError(f"reading it raised {type(error).__name__}") from error


def _retry_after_ms(wait_s: float | None) -> int | None:
    """How long a handler asks to wait; None for what is no time."""
    if not isinstance(wait_s, int | float) or not wait_s >= 0:  # which NaN is not
        return None
    return round(min(wait_s, MOST_WAIT_S) * 1000)


def _identity(task: RunNode) -> dict[str, str | int]:
    return {
        "execution_id": task.execution,
        "node_id": task.node,
        "attempt": task.attempt,
        "correlation_id": task.correlation_id,
    }


def shortened(message: str, most: int = 2000) -> str:
    """A message of at most `most` characters, and how long it was."""
    return message if len(message) <= most else f"{message[:most]}... ({len(message)} characters)"
