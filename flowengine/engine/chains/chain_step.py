"""An execution of a definition has ended: those that follow start.

Each has a transaction of its own, which WATCHes the execution that has ended, notes there what it has started
and creates the other. So it starts once, however many look and however often, and who dies between two of
them has another one start the rest. The message is acknowledged last.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Final, NamedTuple

import msgspec
import structlog
from msgspec.structs import replace

from flowengine.engine.chains.ports import ChainStore, ChainUnit, EndedStore
from flowengine.engine.commands.create import New, Starting, id_of_new
from flowengine.engine.definitions.ports import Definition, DefinitionSource
from flowengine.engine.definitions.refusals import code_and_reason
from flowengine.engine.held import Held
from flowengine.engine.queries import outputs_of
from flowengine.engine.starting.given_inputs import given_inputs
from flowengine.errors import (
    ConcurrencyLimitError,
    ConflictError,
    ExecutionNotFoundError,
    FlowEngineError,
    StoredFormatError,
    StoreFullError,
    StoreUnavailableError,
    TooManyExecutionsError,
)
from flowengine.execution.chains.records import Followed, Follower
from flowengine.execution.chains.rules import MAX_FOLLOWERS, MAX_LINKS, fitting, is_decided, is_ended, noted
from flowengine.execution.changes import Change, NoteFollowers
from flowengine.execution.messages import StartFollowers
from flowengine.execution.records import ExecutionRecord
from flowengine.workflow.chains.declared import After

log = structlog.stdlib.get_logger()

TRIES: Final = 50
LAST_DELIVERY: Final = 5
"""An execution that cannot be made, for a reason that nobody foresaw, is refused at this delivery."""
AGAIN_MS: Final = 5_000
MOST_AGAIN_MS: Final = 300_000
"""When no new work may come in, what follows is looked at after as long as its end is ago, within these."""
MAX_MESSAGE_CHARS: Final = 300
CHAIN_TOO_LONG: Final = "chain_too_long"


class _Ended(NamedTuple):
    """The execution that has ended, what it gives, and how many ends have led to it."""

    execution: str
    record: ExecutionRecord
    outputs: Mapping[str, msgspec.Raw] | None
    links: int
    allowed: tuple[str, ...]
    """Which definitions it might begin by templated names; as its root might."""


class _RefusedError(Exception):
    """No execution can begin."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ChainStep:
    """The step of the messages of ends. Thread-safe: it keeps no state."""

    def __init__(self, chains: ChainStore, definitions: DefinitionSource, executions: EndedStore) -> None:
        self._chains = chains
        self._definitions = definitions
        self._executions = executions

    def start(self, held: Held[StartFollowers]) -> None:
        """Start those that follow. Raises ConflictError, StoreUnavailableError."""
        try:
            due = self._start(held)
        except StoredFormatError as error:
            # Processes of the version that has ended it can tell what it gives; the timer asks them.
            log.warning("chain.put_off", error=str(error))
            due = self._executions.now() + MOST_AGAIN_MS
        except (ConflictError, StoreUnavailableError):
            raise
        except Exception:
            if held.delivery < LAST_DELIVERY:
                raise
            log.error("chain.failed_for_good", exc_info=True)
            due = None
        self._chains.settle(held.payload, due, held.acknowledge)
        held.confirm()

    def _start(self, held: Held[StartFollowers]) -> int | None:
        """When somebody has to look again; None: all is done."""
        message = held.payload
        record = self._executions.read_execution(message.execution)
        if record is None or record.version is None or not is_ended(record, message.run):
            return None
        names = self._chains.following(record.name, MAX_FOLLOWERS)
        names = [name for name in names if not is_decided(record, name)]
        ended = self._ended(message.execution, record) if names else None
        for name in names:
            if ended is not None and not self._follow(ended, name, held.delivery):
                log.warning("chain.put_off", name=name)
                now = self._executions.now()
                return now + min(max(AGAIN_MS, now - record.finished_at), MOST_AGAIN_MS)
        return None

    def _ended(self, execution: str, record: ExecutionRecord) -> _Ended | None:
        """None: it goes with the execution that it is a child of."""
        plan, root = self._executions.plan(execution), record
        if plan is not None and plan.lineage is not None:
            above = self._executions.read_execution(plan.lineage.root)
            if above is None:
                return None
            root = above
        if plan is None:
            return _Ended(execution, record, None, root.links, root.allowed)
        outputs = outputs_of(self._executions, execution, plan, record)
        if outputs is None and record.status == "completed":
            outputs = {}
        return _Ended(execution, record, outputs, root.links, root.allowed)

    def _follow(self, ended: _Ended, name: str, delivery: int) -> bool:
        """Start what follows, or note why it cannot; False: no new work may come in now."""
        for _ in range(TRIES):
            links = self._chains.links(name)
            after = fitting(links.after, ended.record.name, ended.record.status)
            if after is None:
                return True
            found = self._definition(name, links.version)
            if found is not None:
                taken = self._take(ended, name, after, found, delivery)
                if taken is not None:
                    return taken
        raise ConflictError(f"execution '{ended.execution}' or definition '{name}' keeps changing")

    def _definition(self, name: str, version: int) -> Definition | _RefusedError | None:
        try:
            return self._definitions.definition(name, version)
        except StoredFormatError as error:
            return _RefusedError(error.code, str(error))

    def _take(
        self, ended: _Ended, name: str, after: After, found: Definition | _RefusedError, delivery: int
    ) -> bool | None:
        """Whether it was decided; None: the execution has changed meanwhile."""
        unit = self._chains.begin(ended.execution)
        record = unit.record
        if record is None or not is_ended(record, ended.record.run) or is_decided(record, name):
            unit.abandon()
            return True
        execution = id_of_new(self._executions, unit.now)
        new = Follower(name, after.status, record.run, unit.now, execution)
        begins: Starting | None = None
        created: dict[str, Sequence[Change]] = {}
        with ExitStack() as admitted:
            try:
                if isinstance(found, _RefusedError):
                    raise found
                begins = self._starting(ended, after, found, execution, unit.now)
                changes, size = begins.changes(self._executions, execution, unit.now)
                admitted.enter_context(self._executions.letting_in(size))
                created = {execution: changes}
            except (TooManyExecutionsError, StoreFullError):
                unit.abandon()
                return False
            except StoreUnavailableError:
                unit.abandon()
                raise
            except Exception as error:
                if not isinstance(error, FlowEngineError | _RefusedError) and delivery < LAST_DELIVERY:
                    unit.abandon()
                    raise
                begins, new = None, _refusal(new, error)
            note = NoteFollowers(noted(record.followers, new))
            if unit.commit({ended.execution: [note], **created}) is None:
                return None
        _tell(ended, new)
        if begins is not None:
            self._begun(ended, begins, new)
        return True

    def _starting(self, ended: _Ended, after: After, found: Definition, execution: str, now: int) -> Starting:
        """The execution that the end starts. Stores nothing. Raises InputsInvalidError, _RefusedError."""
        if ended.links >= MAX_LINKS:
            raise _RefusedError(
                CHAIN_TOO_LONG,
                f"{MAX_LINKS} executions have started one another already, which is the limit: a chain that "
                "comes back to itself has no end",
            )
        record = ended.record
        status = next(each for each in after.status if each == record.status)
        new = New(
            plan=found.plan,
            correlation_id=record.correlation_id,
            labels=found.record.labels,
            document=found.document,
            version=found.version,
            followed=Followed(ended.execution, record.name, status),
            links=ended.links + 1,
            outputs=None if ended.outputs is None else msgspec.json.encode(ended.outputs),
            allowed=ended.allowed,
        )
        return Starting(replace(new, inputs=given_inputs(new, after.inputs, execution, now)))

    def _begun(self, ended: _Ended, begins: Starting, new: Follower) -> None:
        """It takes its turn, where its workflow has a limit; one that does not wait may be refused still."""
        try:
            with contextlib.suppress(ExecutionNotFoundError):  # somebody may have deleted it already
                begins.begun(self._executions, new.execution or "", new.at)
        except ConcurrencyLimitError as error:
            refused = _refusal(new, error)
            for _ in range(TRIES):
                unit: ChainUnit = self._chains.begin(ended.execution)
                record = unit.record
                if record is None or new not in record.followers:
                    unit.abandon()
                    break
                kept = tuple([refused if one == new else one for one in record.followers])
                if unit.commit({ended.execution: [NoteFollowers(kept)]}) is not None:
                    break
            _tell(ended, refused)


def _refusal(new: Follower, error: Exception) -> Follower:
    code, reason = code_and_reason(error, MAX_MESSAGE_CHARS)
    if isinstance(error, _RefusedError):
        code = error.code
    return replace(new, execution=None, code=code, message=reason)


def _tell(ended: _Ended, new: Follower) -> None:
    tell = log.info if new.execution is not None else log.warning
    tell(
        "chain.end_followed",
        name=new.name,
        status=ended.record.status,
        started=new.execution,
        code=new.code,
        reason=new.message,
    )
