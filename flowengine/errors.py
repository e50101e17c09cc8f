"""One tree of errors, each with a stable `code` shared by API, CLI and logs.

A message says what happened, where, and what to do about it.
"""

from __future__ import annotations

from typing import ClassVar


class FlowEngineError(Exception):
    """Root of every error that FlowEngine raises on purpose."""

    code: ClassVar[str] = "internal_error"


class SettingsError(FlowEngineError):
    """A setting is wrong; the message names it and what is allowed."""

    code = "invalid_setting"


class ExecutionNotFoundError(FlowEngineError):
    """No execution has this id (it never existed, or its retention ended)."""

    code = "execution_not_found"

    @classmethod
    def of(cls, execution_id: str) -> ExecutionNotFoundError:
        """The error for an id that somebody asked for."""
        shown = execution_id if len(execution_id) <= 64 else f"{execution_id[:64]}..."
        return cls(f"no execution has the id {shown!r}; it never existed, or it has expired")


class NodeNotFoundError(FlowEngineError):
    """The execution has no node of this name."""

    code = "node_not_found"


class SignalNotFoundError(FlowEngineError):
    """No node of the execution waits for a signal of this name."""

    code = "signal_not_found"


class CallbackNotFoundError(FlowEngineError):
    """There never was such a callback URL, or its execution is kept no more."""

    code = "callback_not_found"


class CallbackGoneError(FlowEngineError):
    """The node whose callback URL it is waits no more."""

    code = "callback_gone"


class DeadLetterNotFoundError(FlowEngineError):
    """No dead letter has this id: it never existed, or it was retried, deleted or crowded out."""

    code = "dead_letter_not_found"

    @classmethod
    def of(cls, letter: str) -> DeadLetterNotFoundError:
        """The error for an id that somebody asked for."""
        return cls(
            f"no dead letter has the id {letter[:100]!r}; it was retried or deleted, or newer ones have "
            "taken its place"
        )


class BulkNotFoundError(FlowEngineError):
    """No bulk has this id: there never was one, or it has expired."""

    code = "bulk_not_found"

    @classmethod
    def of(cls, bulk_id: str) -> BulkNotFoundError:
        """The error for an id that somebody asked for."""
        return cls(f"no bulk has the id {bulk_id[:100]!r}; there never was one, or it has expired")


class DefinitionNotFoundError(FlowEngineError):
    """No definition is applied under this name, or it has no such version."""

    code = "definition_not_found"

    @classmethod
    def of(cls, name: str, version: int | None = None) -> DefinitionNotFoundError:
        """The error for a name that somebody asked for, or for a version of it."""
        shown = repr(name[:100])
        if version is not None:
            return cls(
                f"there is no version {version} of a definition called {shown}: it never was, was deleted, "
                f"or has gone because nobody used it; GET /definitions/{name}/versions lists those that are "
                f"there"
            )
        return cls(f"no definition is applied as {shown}; GET /definitions lists those that are")


class ScheduleNotFoundError(FlowEngineError):
    """The definition in force has no such schedule."""

    code = "schedule_not_found"

    @classmethod
    def of(cls, name: str, schedule: str) -> ScheduleNotFoundError:
        """The error for a schedule that somebody asked for."""
        return cls(
            f"no schedule {schedule[:100]!r} of a definition {name[:100]!r} is armed; GET /schedules lists "
            "those that are"
        )


class BadCursorError(FlowEngineError):
    """The cursor is none that a page has given."""

    code = "invalid_parameter"


class DocumentNotFoundError(FlowEngineError):
    """No document is kept of an execution."""

    code = "document_not_found"


class WrongStateError(FlowEngineError):
    """The execution is in a state that does not allow what was asked."""

    code = "wrong_state"


class RerunOvertakenError(WrongStateError):
    """The execution is not any more as a rerun expects it to be."""

    code = "overtaken"


class ResultInvalidError(FlowEngineError):
    """What an operator gives as a node's result cannot be one."""

    code = "result_invalid"


class TooManyExecutionsError(FlowEngineError):
    """The limit on executions that have not ended is reached; try again later."""

    code = "too_many_executions"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SignalsFullError(FlowEngineError):
    """So many signals are kept of an execution that no more can be."""

    code = "signals_full"


class ConcurrencyLimitError(FlowEngineError):
    """As many executions of a key run as may, and the workflow does not wait; try again later."""

    code = "concurrency_limit"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AlreadyTriggeredError(WrongStateError):
    """The execution was triggered, and waits for its turn to run."""

    code = "already_triggered"


class StoreUnavailableError(FlowEngineError):
    """Redis cannot be reached, or refuses to write; nothing was changed, or the change may be repeated."""

    code = "store_unavailable"


class StoreFullError(StoreUnavailableError):
    """Redis is close to its memory limit: new work is refused so that what runs can end."""

    code = "store_full"


class UnfitServerError(StoreUnavailableError):
    """Redis answers, and this version cannot work on it as it is; nothing was changed."""

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        """Whether waiting may help: a fail-over ends; processes just stopped are seen for a while."""


class StoredFormatError(UnfitServerError):
    """Redis holds state, or serves live processes, of a version that this one cannot work beside."""

    code = "stored_format"


class ConflictError(FlowEngineError):
    """A transaction was refused again and again because others change the same keys; it comes again."""

    code = "conflict"


class EmbeddedServerError(FlowEngineError):
    """The embedded server cannot be used; the message says why and what to do instead."""

    code = "embedded_server_unavailable"


class CannotRunError(FlowEngineError):
    """A command of the tool cannot do its work: a file, a port or a service is not to be had."""

    code = "could_not_run"
