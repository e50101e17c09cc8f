"""What one iteration of a node means: that it was the last one, or that another follows, and when.

Its templates are rendered here, over what the iteration has given. What comes of the answer is the
orchestrator's to decide.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from flowengine import jsonvalue
from flowengine.engine.ports import RunningStore
from flowengine.engine.running.rendering.conditions import holds
from flowengine.execution import error_codes as codes
from flowengine.execution.messages import RunNode
from flowengine.execution.records import counted_bytes
from flowengine.execution.reports import Again, Completed
from flowengine.execution.rules.repeating import NOT_BEGUN, exhausted, is_delayed
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import HandlerError
from flowengine.settings import Limits
from flowengine.template import Scope, primary_value, render
from flowengine.workflow.repeating.bounds import what_is_wrong
from flowengine.workflow.repeating.repeat import ITERATIONS, Repeat, Templated


class Iterations:
    """Reads what the iterations of one worker process have given."""

    def __init__(self, store: RunningStore, limits: Limits, clock: Callable[[], int]) -> None:
        self._store = store
        self._limits = limits
        self._clock = clock

    def before_first(self, task: RunNode, scope: Scope) -> Again | None:
        """What is reported of a task that only lets the wait before the first iteration begin; None: it is
        one of an iteration. Raises TemplateError, HandlerError."""
        repeat = task.repeat
        if repeat is None or not is_delayed(repeat, task.repeated or NOT_BEGUN):
            return None
        return Again(pause_ms=self._ms("initial_delay_seconds", repeat.initial_delay_s, scope))

    def after(
        self, task: RunNode, repeat: Repeat, scope: Scope, result: bytes, primary: str | None, storable: int
    ) -> Completed | Again:
        """What is reported of an iteration that has given this output, as JSON. `storable`: so many bytes may
        be stored in place of what is kept of the iterations before.

        Raises TemplateError, HandlerError.
        """
        repeated = task.repeated or NOT_BEGUN
        output = jsonvalue.decode(result)
        value = primary_value(output, primary)
        own = replace(
            scope,
            outputs={**scope.outputs, task.node: output},
            primaries={**scope.primaries, task.node: primary},
        )
        if holds("repeat.until", repeat.until, own, self._limits.max_rendered_chars):
            return self._last(task, repeat, output, value)
        pause_ms = self._ms("delay_seconds", repeat.delay_s, own)
        most = round(self._number("max_iterations", repeat.max_iterations, scope))
        max_ms = None if repeat.max_s is None else self._ms("max_seconds", repeat.max_s, scope)
        why = exhausted(repeated, most, max_ms, pause_ms, self._clock())
        if why is not None and repeat.goes_on:
            return self._last(task, repeat, output, value)
        if not repeat.keeps:
            return Again(pause_ms=pause_ms, exhausted=why)
        kept = jsonvalue.encode(value)
        size = repeated.kept + len(kept) + 1 if repeat.collects else len(kept)
        self._refuse_large(size, repeated.number, storable)
        return Again(msgspec.Raw(kept), pause_ms, why)

    def _last(self, task: RunNode, repeat: Repeat, output: JsonValue, value: JsonValue) -> Completed:
        """The node's output: the last iteration's, or the list of what all have given, with their number."""
        number = (task.repeated or NOT_BEGUN).number
        if not repeat.collects:
            whole = output if isinstance(output, dict) else {"result": output}
            data = jsonvalue.encode({**whole, ITERATIONS: number})
        else:
            before = self._store.collected(task)[1:] if number > 1 else b""
            listed = b",".join([*([before] if before else []), jsonvalue.encode(value)])
            data = b'{"result":[%b],"%b":%d}' % (listed, ITERATIONS.encode(), number)
        self._refuse_large(len(data), number, self._limits.max_execution_result_bytes)
        return Completed(msgspec.Raw(data))

    def _refuse_large(self, size: int, number: int, storable: int) -> None:
        most = self._limits.max_result_bytes
        if size > most:
            raise HandlerError(
                codes.RESULT_TOO_LARGE.code,
                f"what is kept of {number} iterations is {size} bytes, the limit is {most} "
                "(FLOWENGINE_MAX_RESULT_BYTES): return less, or store it elsewhere and return where",
            )
        if counted_bytes(size) > storable:
            raise HandlerError(
                codes.RESULTS_TOO_LARGE.code,
                f"what is kept of {number} iterations, {size} bytes, would take the execution's results over "
                f"{self._limits.max_execution_result_bytes} bytes (FLOWENGINE_MAX_EXECUTION_RESULT_BYTES)",
            )

    def _ms(self, field: str, value: Templated, scope: Scope) -> int:
        return round(1000 * self._number(field, value, scope))

    def _number(self, field: str, value: Templated, scope: Scope) -> float:
        if not isinstance(value, str):
            return value
        pointer = f"/repeat/{field}"
        given = render(value, scope, max_chars=self._limits.max_rendered_chars, pointer=pointer)
        wrong = what_is_wrong(field, given)
        if wrong is None and isinstance(given, int | float):
            return given
        _, message = wrong or ("", field)
        raise HandlerError(codes.INVALID_REPEAT.code, f"repeat: {message}")
