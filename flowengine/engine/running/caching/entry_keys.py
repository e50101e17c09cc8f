"""By what a node's result is found again: a digest of what it was made of. No secret goes into it.

An entry belongs to a node of a workflow and to its handler's version. Without a key of its own, its config
says what is the same, rendered with the name of each secret in the place of its value: a secret that is
changed is the same secret, and a digest that is stored tells nothing about it.
"""

from __future__ import annotations

import hashlib

from msgspec.structs import replace

from flowengine import jsonvalue
from flowengine.execution.messages import RunNode
from flowengine.jsonvalue import JsonValue
from flowengine.plugin import Handler
from flowengine.template import Scope, TemplateError, render
from flowengine.workflow.limits.declared import CachePolicy


def entry_of(
    task: RunNode, said: CachePolicy, handler: Handler, scope: Scope, config: JsonValue, max_chars: int
) -> str | None:
    """The name of the entry; None where what is the same cannot be told: a secret is more than a text there.

    `config`: as it was rendered. Raises TemplateError where the node's own key cannot be made.
    """
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
    whole: JsonValue = [said.owner, handler.name, handler.version, same]
    return hashlib.sha256(jsonvalue.encode(whole)).hexdigest()


def _named(name: str) -> str:
    """What stands for a secret. No text that a worker sends holds such a character."""
    return f"\x00secret {name}\x00"
