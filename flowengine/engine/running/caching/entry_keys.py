"""By what a node's result is found again: a digest of what it was made of. No secret goes into it.

An entry belongs to a node of a workflow, to the iteration of one that repeats, and to its handler's version;
a posted document is another workflow than an applied definition of the same name. Without a key of its own,
its config says what is the same, rendered with the name of each secret in the place of its value: a secret
that is changed is the same secret, and a digest that is stored tells nothing about it.
"""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from flowengine import jsonvalue
from flowengine.engine.ports import Given
from flowengine.engine.running.rendering.node_scope import secret_reads
from flowengine.execution.messages import RunNode
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Handler
from flowengine.template import Scope, TemplateError, reads_secret, render
from flowengine.workflow.limits.declared import CachePolicy


def entry_of(
    task: RunNode,
    said: CachePolicy,
    handler: Handler,
    scope: Scope,
    config: JsonValue,
    given: Given,
    max_chars: int,
) -> str | None:
    """The name of the entry; None where there is to be none: the config reads a secret input, or what is the
    same cannot be told, as a secret is more than a text there.

    `config`: as it was rendered. Raises TemplateError where the node's own key cannot be made.
    """
    if _reads_secret_input(task, given):
        return None
    if said.key is not None:
        same: JsonValue = ["key", render({"key": said.key}, scope, max_chars=max_chars)]
    elif b"secrets" in bytes(task.config):
        try:
            named = replace(scope, secrets=_named)
            same = ["config", render(jsonvalue.decode(bytes(task.config)), named, max_chars=max_chars)]
        except TemplateError:
            return None
    else:
        same = ["config", config]
    applied = given.execution is not None and given.execution.version is not None
    owner: list[JsonValue] = ["applied" if applied else "posted", said.owner]
    if task.repeat is not None and task.repeated is not None:
        owner.append(task.repeated.number)
    whole: JsonValue = [owner, handler.name, handler.version, same]
    return hashlib.sha256(jsonvalue.encode(whole)).hexdigest()


def _reads_secret_input(task: RunNode, given: Given) -> bool:
    """Whether what the node gives may tell what this execution alone was given."""
    if not given.secret and given.late is None:
        return False
    return reads_secret(jsonvalue.decode(bytes(task.config)), secret_reads(given), of_workers=False)


def _named(name: str) -> str:
    """What stands for a secret. No text that a worker sends holds such a character."""
    return f"\x00secret {name}\x00"
