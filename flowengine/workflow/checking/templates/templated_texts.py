"""The texts of a node that hold templates: where each stands, and what it may read there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to
from flowengine.template import is_template
from flowengine.template.reference import CALLBACK_URL
from flowengine.workflow.checking.node_fields import NodeFields
from flowengine.workflow.checking.object_fields import JsonObject
from flowengine.workflow.limits.declared import CACHE_FIELD, RATE_FIELD
from flowengine.workflow.limits.declared import FIELD as CONCURRENCY
from flowengine.workflow.policy import ATTEMPT, ERROR
from flowengine.workflow.repeating.repeat import AFTER_AN_ITERATION, ITERATION, PREVIOUS

Where: TypeAlias = tuple[str, str | int]
"""The pointer to an object or list, and the key or place in it. Only a problem needs the whole pointer."""

SecretRule: TypeAlias = Callable[[str], str | None]
"""Why a field of the config may read no secret, by the field's name; None: it may."""

NO_SECRETS: Final = "a condition takes no secrets: whether the node runs would tell of them"
NO_SECRETS_IN_LIMIT: Final = "a key takes no secrets: it is shown to all who look at the limits"
NO_SECRETS_IN_ITEMS: Final = "a map takes no secrets: its items are stored and shown"
NO_SECRETS_IN_KEY: Final = "the key of a cache takes no secrets: name what is meant in another way"
IN_MAP: Final = frozenset({"item", "item_index", "item_key"})
IN_RETRY: Final = frozenset({ERROR, ATTEMPT})
IN_REPEAT: Final = frozenset({ITERATION, PREVIOUS})
IN_CALLBACK: Final = frozenset({CALLBACK_URL})
NOTHING_MORE: Final[frozenset[str]] = frozenset()


class TemplatedText(msgspec.Struct, frozen=True):
    """A templated string of a node, and the rules of its place.

    `no_secrets`: why it may read no secret; None: it may. `given` are the names that it may read besides
    nodes. `reads_own`: it may read what its own node has given.
    """

    where: Where
    text: str
    no_secrets: str | None
    given: frozenset[str] = NOTHING_MORE
    reads_own: bool = False


def conditions(node: NodeFields) -> Iterator[TemplatedText]:
    """The conditions under which the node runs, is tried again, and repeats; and how often and how soon it
    does."""
    policy = node.policy
    always = _given_to(node)
    if policy.when is not None:
        yield TemplatedText((node.pointer, "when"), policy.when, NO_SECRETS)
    if policy.retry is not None and policy.retry.when is not None:
        given = IN_RETRY | always if node.map is None else IN_RETRY.union(always, node.map.names)
        yield TemplatedText((policy.retry_pointer, "when"), policy.retry.when, NO_SECRETS, given)
    if policy.repeat is not None:
        place = pointer_to(node.pointer, "repeat")
        for field, text in policy.repeat.templates():
            after = field in AFTER_AN_ITERATION
            given = always if after else NOTHING_MORE
            yield TemplatedText((place, field), text, NO_SECRETS, given, reads_own=after)


def cache_texts(node: NodeFields) -> Iterator[TemplatedText]:
    """What says which results of the node are the same."""
    if node.cache is not None and node.cache.key is not None:
        place = (pointer_to(node.pointer, CACHE_FIELD), "key")
        if is_template(node.cache.key):
            yield TemplatedText(place, node.cache.key, NO_SECRETS_IN_KEY, _given_to(node))


def limit_texts(node: NodeFields) -> Iterator[TemplatedText]:
    """The keys of the node's limits."""
    for field, limit in ((CONCURRENCY, node.policy.concurrency), (RATE_FIELD, node.policy.rate_limit)):
        if limit is not None and limit.key is not None and is_template(limit.key):
            yield TemplatedText((pointer_to(node.pointer, field), "key"), limit.key, NO_SECRETS_IN_LIMIT)


def map_texts(node: NodeFields) -> Iterator[TemplatedText]:
    """What a map's items are made of. Only their keys read the items."""
    if node.map is None:
        return
    own = frozenset(node.map.names[:2])
    for field, value in node.map.spec.items():
        given = own if field == "key" else NOTHING_MORE
        for where, text in templates_in({field: value}, node.map.pointer):
            yield TemplatedText(where, text, NO_SECRETS_IN_ITEMS, given)


def _given_to(node: NodeFields) -> frozenset[str]:
    """What the templates of the node's every run may read besides nodes."""
    if node.map is not None:
        return frozenset(node.map.names)
    return NOTHING_MORE if node.policy.repeat is None else IN_REPEAT


def ruled_texts(
    node: NodeFields, config: JsonObject, pointer: str, secret_rule: SecretRule
) -> Iterator[TemplatedText]:
    """Every templated string in the node's config."""
    given = _given_to(node)
    if node.waits is not None and node.waits.kind == "callback":
        given |= IN_CALLBACK
    for field, value in config.items():
        no_secrets = secret_rule(field)
        for where, text in templates_in({field: value}, pointer):
            yield TemplatedText(where, text, no_secrets, given)


def templates_in(config: JsonObject, pointer: str) -> Iterator[tuple[Where, str]]:
    """Every templated string in the config, in order, and where it is. Does not recurse at any depth."""
    levels: list[tuple[str, Iterator[tuple[str | int, JsonValue]]]] = [(pointer, iter(config.items()))]
    while levels:
        pointer, members = levels[-1]
        for key, item in members:
            if isinstance(item, str):
                if is_template(item):
                    yield (pointer, key), item
            elif isinstance(item, dict):
                levels.append((pointer_to(pointer, key), iter(item.items())))
                break
            elif isinstance(item, list):
                levels.append((pointer_to(pointer, key), iter(enumerate(item))))
                break
        else:
            levels.pop()
