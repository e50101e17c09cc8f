"""What the templates of one node read, made of what its worker was told at the start."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from flowengine import jsonvalue
from flowengine.engine.ports import Given, Start
from flowengine.engine.running.rendering.conditions import shown_error
from flowengine.execution.callback_tokens import Token, token_of, url_of
from flowengine.execution.messages import EXECUTION, INPUTS, TRIGGER, VARS, RunNode
from flowengine.execution.records import NodeRecord
from flowengine.execution.rules.maps.opening import value_of
from flowengine.jsonvalue import JsonValue
from flowengine.template import Fate, Scope
from flowengine.template.budget import Budget
from flowengine.template.reference import CALLBACK_URL
from flowengine.workflow.inputs.declared import MASK
from flowengine.workflow.maps.policy import names_of
from flowengine.workflow.repeating.repeat import ITERATION, PREVIOUS

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def node_scope(task: RunNode, start: Start, secrets: Callable[[str], str], max_chars: int) -> Scope:
    """What the node's templates read. `max_chars` bounds the text of vars that are made here.

    Raises TemplateError: one of these cannot be made.
    """
    primaries = {read.node: read.primary for read in task.reads} if task.reads else {}
    if task.held or task.item is not None:
        for item in (*task.held, *(() if task.item is None else (task.item,))):
            primaries |= dict.fromkeys(names_of(item.name))
    if task.outer:
        primaries |= {read.node: read.primary for read in task.outer}
    scope = Scope(
        outputs=_outputs(task, start),
        primaries=primaries,
        secrets=secrets,
        fates={node: _fate(record) for node, record in start.fates.items()} if start.fates else {},
        unseen=task.unseen,
        given=_given(task, start.given) if task.given else {},
        moment=task.moment or start.now,
        seed=idempotency_key(task),
    )
    late = _object(start.given.late) if VARS in task.given else None
    if not late:
        return scope
    # Imported where there are such vars: few workers see any.
    from flowengine.workflow.inputs.beginning import make_vars, read_vars_of

    wanted = read_vars_of(late, [jsonvalue.decode(bytes(task.config)), task.when])
    made = _object(start.given.vars)
    made.update(make_vars(wanted, scope, Budget(max_chars)))
    return replace(scope, given={**scope.given, VARS: made})


def idempotency_key(task: RunNode) -> str:
    """What a service may tell a repeated call by."""
    if task.repeated is not None:
        return f"{task.execution}-{task.answered + 1}.{task.repeated.number}-{task.node}"
    key = f"{task.execution}-{task.answered + 1}-{task.node}"
    return key if task.item is None else f"{key}-{_plain_key(task.item.key)}"


def _plain_key(key: str) -> str:
    """The key of an item as a part of a header's value: a digest of one that holds more than plain
    characters, or is long."""
    if _PLAIN_KEY.fullmatch(key):
        return key
    return f".{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()[:32]}"


def _outputs(task: RunNode, start: Start) -> dict[str, JsonValue]:
    """What the nodes have given that it reads; and its iteration, of a node that repeats, or its item, of one
    that is a map."""
    found = {node: jsonvalue.decode(data) for node, data in start.inputs.items()} if start.inputs else {}
    number = _iteration(task)
    if number is not None:
        found[ITERATION] = number
        found |= {} if start.previous is None else {PREVIOUS: jsonvalue.decode(start.previous)}
    if task.calls_back is not None:
        found[CALLBACK_URL] = callback_url(task, start.given) or MASK
    for held, stored in zip(task.held, start.held, strict=True):
        value = None if stored is None else jsonvalue.decode(value_of(stored))
        found |= dict(zip(names_of(held.name), (value, held.index, held.key), strict=True))
    if task.item is not None:
        names = names_of(task.item.name)
        values = (jsonvalue.decode(bytes(task.item.value)), task.item.index, task.item.key)
        found |= dict(zip(names, values, strict=True))
    return found


def _iteration(task: RunNode) -> int | None:
    """The number of its own iteration, or of that of a group around it; None: there is none that it reads."""
    if task.repeated is not None:
        return task.repeated.number
    return None if task.within is None else task.within.number


def callback_token(task: RunNode, given: Given) -> Token | None:
    """The token of the callback for which the node waits then: the same for each of its tries. None where the
    seed is not known."""
    if task.calls_back is None or given.seed is None:
        return None
    return token_of(given.seed, task.execution, task.calls_back.node, task.run)


def callback_url(task: RunNode, given: Given) -> str | None:
    """Where the callback is posted to."""
    token = callback_token(task, given)
    return None if token is None or task.calls_back is None else url_of(task.calls_back.base, token)


def texts_to_hide(task: RunNode, given: Given) -> list[str]:
    """The texts that must not be shown while the node runs: secret inputs, and its callback URL."""
    if task.calls_back is None and not given.secret:
        return []
    token = callback_token(task, given)
    hidden = (
        [] if token is None or task.calls_back is None else [url_of(task.calls_back.base, token), str(token)]
    )
    if not given.secret:
        return hidden
    values = _object(given.inputs)
    return [*hidden, *(value for name in given.secret if isinstance(value := values.get(name), str))]


def secret_reads(given: Given) -> frozenset[tuple[str, str]]:
    """What is given and secret, as templates read it."""
    late = _object(given.late)
    return frozenset((*((INPUTS, name) for name in given.secret), *((VARS, name) for name in late)))


def _given(task: RunNode, given: Given) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = {}
    if INPUTS in task.given:
        found[INPUTS] = _object(given.inputs)
    if VARS in task.given:
        found[VARS] = _object(given.vars)
    if EXECUTION in task.given and given.execution is not None:
        from flowengine.execution.execution_fields import execution_fields

        # In a group the document's execution is meant, and its run.
        run = given.execution.run if task.chain else task.run
        fields = execution_fields(task.home, given.execution, run)
        fields["group_id"] = task.execution if task.chain else None
        found[EXECUTION] = fields | _object(given.outcome)
    if TRIGGER in task.given and given.execution is not None:
        from flowengine.execution.execution_fields import trigger_fields

        found[TRIGGER] = trigger_fields(task.home, given.execution, given.outputs, given.parent)
    return found


def _object(data: bytes | None) -> dict[str, JsonValue]:
    value = {} if data is None else jsonvalue.decode(data)
    return value if isinstance(value, dict) else {}


def _fate(record: NodeRecord) -> Fate:
    """What became of a node, as templates see it."""
    error = record.error
    if record.status == "pending":
        # A hook of failures that an execution which has not failed does not come to.
        return Fate("skipped")
    if record.status != "failed" or error is None:
        return Fate(record.status)
    return Fate(record.status, shown_error(error))
