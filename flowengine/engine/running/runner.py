"""What the worker's actor does: render one node, run it, report. Stateless, safe to run twice.

Decides nothing about what runs next. Every way in which a handler can end, but the death of the
process, becomes an outcome with a clear error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec
import structlog
from msgspec.structs import replace

from flowengine.engine.held import Held
from flowengine.engine.ports import Acknowledge, Invoker, KeptResult, Redactor, RunningStore, Start
from flowengine.engine.running.handler_speed import HandlerSpeed
from flowengine.engine.running.node_context import Environment
from flowengine.engine.running.node_identity import identity_of, tell_delivery
from flowengine.engine.running.outcomes import Call, Outcomes, shortened
from flowengine.engine.running.outputs import Outputs
from flowengine.engine.running.rendering.conditions import holds, scope_after
from flowengine.engine.running.rendering.node_scope import node_scope, texts_to_hide
from flowengine.engine.running.starts import Starts
from flowengine.engine.running.stop_notices import StopNotices
from flowengine.engine.running.task_in_hand import TaskInHand
from flowengine.errors import StoreUnavailableError
from flowengine.execution.messages import Callback, RunNode
from flowengine.execution.reports import (
    WORDS,
    Again,
    ByDelivery,
    Cancelled,
    Child,
    Completed,
    Expanded,
    Failed,
    KeysMade,
    Outcome,
    Skipped,
    Waiting,
)
from flowengine.observability.metrics import counted
from flowengine.observability.node_output import HEARD
from flowengine.observability.tracing.spans import tracing
from flowengine.plugin import HandlerError, Registry
from flowengine.queues import is_of_crowd
from flowengine.settings import Limits
from flowengine.template import TemplateError

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
        self.outcomes = Outcomes(store, registry, secrets, limits, environment, clock)
        self._invoker = invoker
        self._secrets = secrets
        self._limits = limits
        self._clock = clock
        self._speed = speed or HandlerSpeed()
        self._patience = patience
        self._passes_on = passes_on
        self.stops = StopNotices(store)
        self.outputs = Outputs(store, secrets)
        self.starts = Starts(store, self._speed, clock, self.stops.is_named)
        self.running: dict[int, TaskInHand] = {}
        # A module's logger is looked up at every call, which takes longer than an event that is not shown.
        self._log = log.bind()

    def run(self, held: Held[RunNode]) -> None:
        """Run one delivery of a node and report its outcome. Raises StoreUnavailableError."""
        if self._passes_on and self.outcomes.handler(held.payload.handler) is None:
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
        log.info("node.unwanted", delivery=hand.delivery, **identity_of(hand.task, hand.delivery))
        hand.forget_start(self._store)
        self._store.acknowledge(hand.held.acknowledge)
        hand.held.confirm()

    def outcome_of(self, hand: TaskInHand, start: Start) -> Outcome:
        """Run the handler, under the watchdog's eyes. Raises StoreUnavailableError, as `outcome` does."""
        hand.began = time.monotonic()
        self.running[id(hand)] = hand
        try:
            self._log.debug("node.started", handler=hand.task.handler, delivery=hand.delivery)
            counted.WAIT.observe(hand.waited_s, hand.task.handler)
            secret = texts_to_hide(hand.task, start.given)
            if secret:
                with self._secrets.hiding(secret):
                    outcome = self._heard_out(hand, start)
            else:
                outcome = self._heard_out(hand, start)
            if hand.cancellation.requested and isinstance(outcome, Failed | Waiting):
                return Cancelled()
            return outcome
        finally:
            took_s = time.monotonic() - hand.began
            self._speed.observe(hand.task.handler, took_s)
            counted.RUN.observe(took_s, hand.task.handler)
            del self.running[id(hand)]

    def _heard_out(self, hand: TaskInHand, start: Start) -> Outcome:
        """What running it gives; all that it has said is taken."""
        outcome = self.outcome(hand.task, start, hand.delivery, hand.deadline, hand)
        self.outputs.gather(hand)
        return outcome

    def report(self, hand: TaskInHand, outcome: Outcome) -> bool:
        """Send the callback and acknowledge the task, unless that has been done, or is another's to do.

        Returns whether it did.
        """
        if not hand.take():
            log.warning("node.outcome_dropped", node_id=hand.task.node, reason="already reported")
            return False
        if hand.held.is_lost:
            log.warning("node.outcome_dropped", node_id=hand.task.node, reason="lease lost")
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
        kept = [found for hand, callback in done if (found := _kept(hand, callback)) is not None]
        crowd = bool(hands) and all(is_of_crowd(hand.held.place) for hand in hands)
        until, pause = time.monotonic() + self._patience.in_all_s, self._patience.first_pause_s
        while True:
            try:
                self._store.report(callbacks, acknowledge, said, kept, crowd=crowd)
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
            item=hand.task.item_try,
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
            return replace(failed, again=self.outcomes.error(HandlerError(wrong.code, text)))

    def note(self, hand: TaskInHand, outcome: Outcome) -> None:
        """Count and log how the node ended."""
        counted.ATTEMPTS.add(hand.task.handler, WORDS[type(outcome)])
        if tracing.is_on:
            tell_delivery(hand, outcome, self._clock())
        fields = {**identity_of(hand.task, hand.delivery), "handler": hand.task.handler}
        if isinstance(outcome, Completed):
            known = {"cached": True} if outcome.cached else {}
            self._log.info("node.completed", delivery=hand.delivery, **known, **fields)
        elif isinstance(outcome, Expanded):
            self._log.info("node.expanded", delivery=hand.delivery, items=len(outcome.items), **fields)
        elif isinstance(outcome, Again):
            self._log.info("node.iterated", delivery=hand.delivery, pause_s=outcome.pause_ms / 1000, **fields)
        elif isinstance(outcome, Skipped):
            self._log.info("node.skipped", delivery=hand.delivery, reason="when", **fields)
        elif isinstance(outcome, Cancelled):
            self._log.info("node.cancelled", delivery=hand.delivery, **fields)
        elif isinstance(outcome, Waiting):
            self._log.info("node.waiting", delivery=hand.delivery, waits_for=outcome.kind, **fields)
        elif isinstance(outcome, Child):
            self._log.info("node.opened", delivery=hand.delivery, **fields)
        elif isinstance(outcome, KeysMade):
            self._log.info("node.keys_made", delivery=hand.delivery, **fields)
        elif isinstance(outcome, Failed):
            code, message = outcome.error.code, shortened(outcome.error.message, LOGGED_CHARS)
            self._log.warning("node.failed", code=code, error=message, **fields)

    def outcome(
        self, task: RunNode, start: Start, delivery: int, deadline: float, hand: TaskInHand | None = None
    ) -> Outcome:
        """What running the node gives. Each failure is an outcome. Raises StoreUnavailableError where nothing
        has been called, so that the task may come again.

        `hand`: who may ask the handler to stop, and hears what it says.
        """
        outcomes = self.outcomes
        try:
            if task.expands:
                return outcomes.expanded(task, start)
            if task.asks is not None:
                return Failed(task.asks)
            if task.keys is not None:
                return outcomes.keys_made(task, task.keys, start)
            call = outcomes.call_of(task, start, delivery, deadline, hand)
            if not isinstance(call, Call):
                return call
            heard = HEARD.set(None if hand is None else hand.output)
            try:
                output = self._invoker.invoke(call.handler, call.config, call.context)
            finally:
                HEARD.reset(heard)
            return outcomes.completed(task, start, call, output)
        except StoreUnavailableError as error:
            if task.expands:
                raise
            return outcomes.failed(task, start, error)
        except BaseException as error:  # noqa: BLE001 - the edge to users' code: `failed` logs what is no error of theirs
            return outcomes.failed(task, start, error)


def _kept(hand: TaskInHand, callback: Callback) -> KeptResult | None:
    """What is kept of an outcome for other times: a result that was just made."""
    outcome, said = callback.outcome, hand.task.cache
    if hand.entry is None or said is None:
        return None
    if hand.given is not None and isinstance(outcome, Completed | Again):
        return KeptResult(hand.entry, said.ttl_s, msgspec.Raw(hand.given))
    if hand.task.repeat is not None or not isinstance(outcome, Completed) or outcome.cached:
        return None
    return KeptResult(hand.entry, said.ttl_s, outcome.result)
