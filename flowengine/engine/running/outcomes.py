"""What running one node gives: the call of its handler, made of what its templates say, and its outcome.

Talks to no queue. Every way in which a handler can end, but the death of the process, becomes an outcome
with a clear error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Sequence
from typing import Final, TypeAlias

import msgspec
import structlog
from msgspec.structs import replace

from flowengine import jsonvalue
from flowengine.engine.ports import EncodedOutput, Given, Redactor, RunningStore, Start
from flowengine.engine.running.node_context import Environment, node_context
from flowengine.engine.running.rendering.conditions import holds
from flowengine.engine.running.rendering.node_scope import node_scope, secret_reads
from flowengine.engine.running.rendering.output_check import refuse_misfits
from flowengine.engine.running.repeating.iterations import Iterations
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.errors import StoreUnavailableError
from flowengine.execution import error_codes as codes
from flowengine.execution.messages import RunNode
from flowengine.execution.records import COUNTED_RESULT_BYTES, NodeError, counted_bytes
from flowengine.execution.reports import (
    Again,
    Child,
    Completed,
    Expanded,
    Failed,
    KeysMade,
    Outcome,
    Skipped,
    Waiting,
)
from flowengine.execution.rules.deadlines import CUT_BY_MAP, TURN_TOO_LATE
from flowengine.execution.rules.repeating import NOT_BEGUN
from flowengine.jsonvalue import JsonValue
from flowengine.plaintext import encodable_text
from flowengine.plugin import Context, Handler, HandlerError, HandlerTimeoutError, ModelCall, Registry
from flowengine.plugin.context import Log
from flowengine.plugin.errors import EndedError, Later, ResultTooLargeError
from flowengine.plugin.waiting import RunWorkflow, Wait, WaitAsSaid
from flowengine.settings import Limits
from flowengine.template import Scope, TemplateError, reads_secret, render
from flowengine.workflow.children.group import GROUP, PRIMARY
from flowengine.workflow.limits.declared import CachePolicy, KeyTemplates
from flowengine.workflow.repeating.repeat import Repeat

log = structlog.stdlib.get_logger()

MOST_ERRORS = 10
MOST_CALLS = 20
MOST_CODE_CHARS = 100
MOST_WAIT_S = 30 * 86_400.0

_PLAIN: Final = frozenset((dict, list, str, int, float, bool, type(None)))
"""What most handlers return. A struct is slow to say that it is none of these."""


class _Nothing(msgspec.Struct):
    """A group has no config."""


def _open(config: _Nothing, context: Context) -> None:
    """Nothing: what is to run is a child execution."""


_OPENING: Final = Handler(name=GROUP, function=_open, config_type=_Nothing, summary="", is_async=False)
"""Stands for the handler of a group whose condition is to be rendered."""


class Call(msgspec.Struct, frozen=True):
    """A handler, and what it is called with: its rendered config and its context. `scope`: what the node's
    templates read. `keeps`: who hears what it has given, of an iteration that is kept for other times."""

    handler: Handler
    config: JsonValue
    context: Context
    scope: Scope
    keeps: TaskInHand | None = None


Spared: TypeAlias = Skipped | Again | Completed
"""What is reported of a task whose handler is not called."""


class Outcomes:
    """Makes the calls of nodes and the outcomes of what comes of them, for one worker process."""

    def __init__(
        self,
        store: RunningStore,
        registry: Registry,
        secrets: Redactor,
        limits: Limits,
        environment: Environment,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._registry = registry
        self._secrets = secrets
        self._limits = limits
        self._environment = environment
        self._clock = clock
        self._iterations = Iterations(store, limits, clock)
        self._loggers: dict[str, Log] = {}

    def handler(self, name: str) -> Handler | None:
        """The handler of this name, if this process knows it."""
        return _OPENING if name == GROUP else self._registry.get(name)

    def call_of(
        self, task: RunNode, start: Start, delivery: int, deadline: float, hand: TaskInHand | None = None
    ) -> Call | Spared:
        """What is to be called, or what is reported without a call: its `when` is false, the wait before its
        first iteration is to begin, or its result is known from another time. Raises what `failed` takes.

        `hand`: who may ask the handler to stop, and hears what it says.
        """
        if task.until and self._clock() >= task.until:
            raise HandlerTimeoutError(TURN_TOO_LATE)
        handler = self._handler(task, start)
        scope = node_scope(task, start, self._secrets.lookup, self._limits.max_rendered_chars)
        if task.judges:
            return self._judged(task, start, scope)
        if task.when is not None and not holds("when", task.when, scope, self._limits.max_rendered_chars):
            return Skipped()
        delay = self._iterations.before_first(task, scope)
        if delay is not None:
            return delay
        if task.calls_back is not None and start.given.seed is None:
            text = "there is no seed for its callback URL: the execution began under an earlier version"
            raise HandlerError(codes.INTERNAL_ERROR.code, text)
        config = self._render(task, scope, handler.no_secrets_in, start.given)
        if task.cache is not None:
            known = self._kept_result(task, task.cache, start, handler, scope, config, hand)
            if known is not None:
                return known
        logger = self._logger(task.handler)
        context = node_context(task, start.given, delivery, deadline, self._environment, hand, logger)
        keeps = hand if task.cache is not None and task.repeat is not None else None
        return Call(handler, config, context, scope, keeps)

    def _logger(self, handler: str) -> Log:
        """What a handler logs with: the same each time, as to make one takes longer than a quick handler."""
        found = self._loggers.get(handler)
        if found is None:
            found = structlog.stdlib.get_logger("flowengine.handler", handler=handler)
            self._loggers[handler] = found
        return found

    def expanded(self, task: RunNode, start: Start) -> Outcome:
        """The outcome of the task that says what the items of a map are. Raises what `failed` takes."""
        # Imported where there are maps: few workers see any.
        from flowengine.engine.running.rendering.expanding import rendered_map

        self._refuse_oversized(start)
        max_chars = self._limits.max_rendered_chars
        scope = node_scope(task, start, self._secrets.lookup, max_chars)
        if task.when is not None and not holds("when", task.when, scope, max_chars):
            return Skipped()
        if task.keeps:
            return Expanded((), left=tuple(self._store.items_left(task)))
        found = rendered_map(
            jsonvalue.decode(bytes(task.config)),
            scope,
            task.item_name,
            max_items=self._limits.max_map_items,
            max_chars=max_chars,
        )
        data = self._checked(task, found, start.storable_bytes)
        return msgspec.json.decode(data, type=Expanded)

    def keys_made(self, task: RunNode, wanted: KeyTemplates, start: Start) -> KeysMade | Skipped:
        """The outcome of the task that makes the keys of a node's limits. Raises what `failed` takes."""
        # Imported where there are such keys: few workers see any.
        from flowengine.workflow.limits.keys import KeyInvalidError, late_keys

        self._refuse_oversized(start)
        max_chars = self._limits.max_rendered_chars
        scope = node_scope(task, start, self._secrets.lookup, max_chars)
        if task.when is not None and not holds("when", task.when, scope, max_chars):
            return Skipped()
        try:
            made = late_keys(wanted, scope, max_chars)
        except KeyInvalidError as error:
            raise HandlerError(codes.KEY_INVALID.code, str(error), permanent=True) from error
        return KeysMade(made.turn, made.pace)

    def completed(
        self, task: RunNode, start: Start, call: Call | Spared, output: object, ended_at: float | None = None
    ) -> Outcome:
        """The outcome of a handler that has returned `output`. Raises what `failed` takes.

        `ended_at`: when it did, in seconds of the monotonic clock; None: just now.
        """
        if not isinstance(call, Call):
            return call
        if call.handler is _OPENING:
            return Child()
        if (time.monotonic() if ended_at is None else ended_at) > call.context.deadline:
            raise HandlerTimeoutError(f"took longer than {task.timeout_ms / 1000:g} s")
        if type(output) not in _PLAIN:
            if isinstance(output, WaitAsSaid):
                return self._waiting(task, output)
            if isinstance(output, Wait):
                said = WaitAsSaid(kind="signal", prompt=output.prompt)
                return self._waiting(task, said, call.handler, output)
            if isinstance(output, RunWorkflow):
                return self._child(task, start, output)
        result = self._checked(task, output, _storable(task, start))
        if task.output_schema is not None:
            refuse_misfits(task.output_schema.encode(), result, call.handler.primary)
        if task.calls_back is not None:
            return Waiting("callback", response=msgspec.Raw(result))
        if task.repeat is None:
            return Completed(msgspec.Raw(result))
        if call.keeps is not None:
            call.keeps.given = result
        return self._after(task, task.repeat, start, call.scope, result, call.handler.primary)

    def _after(
        self, task: RunNode, repeat: Repeat, start: Start, scope: Scope, result: bytes, primary: str | None
    ) -> Completed | Again:
        """What follows from what an iteration has given."""
        storable = _storable(task, start)
        if storable is None:
            storable = self._limits.max_execution_result_bytes
        return self._iterations.after(task, repeat, scope, result, primary, storable)

    def _judged(self, task: RunNode, start: Start, scope: Scope) -> Completed | Again:
        """What follows from what the child of an iteration has given."""
        repeat, repeated = task.repeat, task.repeated or NOT_BEGUN
        if repeat is None or start.response is None:
            text = "what the iteration has given is not there any more: trigger the execution again"
            raise HandlerError(codes.INTERNAL_ERROR.code, text)
        storable = start.storable_bytes
        if storable is None:
            storable = self._limits.max_execution_result_bytes
        room = counted_bytes(repeated.kept) + counted_bytes(repeated.size)
        return self._iterations.after(task, repeat, scope, start.response, PRIMARY, storable + room)

    def _child(self, task: RunNode, start: Start, asked: RunWorkflow) -> Child:
        # Imported where definitions are run: few workers see such nodes.
        from flowengine.engine.running.calling import prepared_call

        return Child(prepared_call(self._store, task, asked, secret_reads(start.given), self._clock()))

    def _kept_result(
        self,
        task: RunNode,
        said: CachePolicy,
        start: Start,
        handler: Handler,
        scope: Scope,
        config: JsonValue,
        hand: TaskInHand | None,
    ) -> Completed | Again | None:
        """What the node has given at another time for the same, or what follows from that in an iteration;
        None: it is to be called, and what it gives is kept. A store that does not answer knows nothing."""
        # Imported where there are such nodes: few workers see any.
        from flowengine.engine.running.caching.entry_keys import entry_of

        entry = entry_of(task, said, handler, scope, config, start.given, self._limits.max_rendered_chars)
        if entry is None:
            return None
        if hand is not None:
            hand.entry = entry
        if task.fresh:
            return None
        try:
            found = self._store.cached(entry)
            if found is None:
                return None
            result = self._checked(task, EncodedOutput(found), _storable(task, start))
            if task.output_schema is not None:
                refuse_misfits(task.output_schema.encode(), result, handler.primary)
        except (StoreUnavailableError, HandlerError):
            return None
        if task.repeat is None:
            return Completed(msgspec.Raw(result), cached=True)
        followed = self._after(task, task.repeat, start, scope, result, handler.primary)
        return replace(followed, cached=True) if isinstance(followed, Completed) else followed

    def _waiting(
        self, task: RunNode, wait: WaitAsSaid, handler: Handler | None = None, asked: Wait | None = None
    ) -> Waiting:
        """`asked`: what the handler has returned that is none of FlowEngine's."""
        if task.repeat is not None:
            # Iterations that wait run apart: this one's handler has begun to wait since.
            text = "its workflow was stored when its handler did not wait: store it again"
            raise HandlerError(codes.INVALID_REPEAT.code, text, permanent=True)
        if task.calls_back is not None:
            text = (
                "a node with `wait_for_callback` waits for nothing else: return what the service has answered"
            )
            raise HandlerError(codes.INVALID_CONFIG.code, text, permanent=True)
        after_ms = None if wait.seconds is None else round(wait.seconds * 1000)
        prompt = None if wait.prompt is None else self._secrets.redact(wait.prompt)
        if handler is None or asked is None:
            return Waiting(wait.kind, wait.until_ms, after_ms, prompt)
        # Imported where handlers ask for it: few workers know such.
        from flowengine.engine.running.awaited_signals import policy_of

        return Waiting(wait.kind, prompt=prompt, said=policy_of(task.node, handler, asked))

    def failed(self, task: RunNode, start: Start, error: BaseException) -> Failed | Waiting:
        """The outcome of whatever was raised. Raises nothing."""
        if isinstance(error, Later):
            return Waiting("later", after_ms=round(error.seconds * 1000))
        if isinstance(error, EndedError):
            return self._ended(task, error, start)
        if isinstance(error, HandlerError):
            error = self._cut(task, error)
            if (
                not task.tries_once and task.pace is None
            ):  # nobody asks, and an older orchestrator would not understand it
                return Failed(self.error(error))
            return Failed(self.error(error), error.permanent is True, _retry_after_ms(error.retry_after_s))
        if isinstance(error, TemplateError):
            return Failed(self.error(HandlerError(error.code, str(error))))
        # One that is no Exception would bring the node back, run by run.
        log.error("node.crashed", exc_info=error)
        text = f"{type(error).__name__}: {error}"
        return Failed(self.error(HandlerError(codes.INTERNAL_ERROR.code, text)))

    def _cut(self, task: RunNode, error: HandlerError) -> HandlerError:
        """The same error; of an item that the end of its map's time has cut short, one that says so."""
        is_late = isinstance(error, HandlerTimeoutError) and error.message != TURN_TOO_LATE
        if not (task.until and is_late and self._clock() >= task.until):
            return error
        return HandlerTimeoutError(CUT_BY_MAP, errors=error.errors, calls=error.calls)

    def _ended(self, task: RunNode, ended: EndedError, start: Start) -> Failed:
        """The outcome of an `end` that says failed."""
        if ended.outputs is None:
            return Failed(self.error(ended))
        try:
            data = self._checked(task, ended.outputs, start.storable_bytes)
        except HandlerError as error:
            return Failed(self.error(error))
        return Failed(self.error(ended), outputs=msgspec.json.decode(data, type=dict[str, msgspec.Raw]))

    def _refuse_oversized(self, start: Start) -> None:
        if start.oversized:
            raise HandlerError(
                codes.INPUTS_TOO_LARGE.code,
                f"the outputs it reads are {start.oversized} bytes, the limit is "
                f"{self._limits.max_read_bytes} (FLOWENGINE_MAX_READ_BYTES): read less, or smaller ones",
            )

    def _handler(self, task: RunNode, start: Start) -> Handler:
        self._refuse_oversized(start)
        handler = self.handler(task.handler)
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
            data = output.data if type(output) is EncodedOutput else jsonvalue.encode_unruly(output)
            # Before it is searched for secrets, which takes a multiple of its size, and after.
            self._refuse_large(data)
            shown = self._secrets.redact_json(data)
        except jsonvalue.UnencodableError as error:
            raise HandlerError(
                codes.UNENCODABLE_RESULT.code, f"the handler returned no JSON value: {error}"
            ) from error
        if shown is not data:
            self._refuse_large(shown)
            data = shown
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
            raise ResultTooLargeError(len(data), self._limits.max_result_bytes)

    def _storable_bytes(self, task: RunNode) -> int:
        try:
            return self._store.storable_bytes(task.execution)
        except StoreUnavailableError:
            # The node has run, and may have been dear: the limit is there to stop what goes on and on.
            return self._limits.max_execution_result_bytes

    def error(self, error: HandlerError) -> NodeError:
        """The error as it is stored, without secrets."""

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
            data = self._secrets.redact_json(jsonvalue.encode_unruly(error.calls[-MOST_CALLS:]))
            return msgspec.json.decode(data, type=tuple[ModelCall, ...])
        except (TypeError, jsonvalue.UnencodableError, msgspec.DecodeError):
            log.warning("node.calls_dropped", reason="they are no list of calls")
            return ()


def _storable(task: RunNode, start: Start) -> int | None:
    """So many bytes may be stored of what a node gives: what is kept of the iterations before makes room.
    None: the store has not been asked."""
    room = 0 if task.repeated is None else counted_bytes(task.repeated.kept)
    return None if start.storable_bytes is None else start.storable_bytes + room


def _retry_after_ms(wait_s: float | None) -> int | None:
    """How long a handler asks to wait; None for what is no time."""
    if not isinstance(wait_s, int | float) or not wait_s >= 0:  # which NaN is not
        return None
    return round(min(wait_s, MOST_WAIT_S) * 1000)


def shortened(message: str, most: int = 2000) -> str:
    """A message of at most `most` characters, and how long it was."""
    return message if len(message) <= most else f"{message[:most]}... ({len(message)} characters)"
