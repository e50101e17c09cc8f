"""Builders of workflow documents: a test writes down only what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def node(
    name: str, handler: str, *, after: Sequence[str] = (), timeout: int | None = None, **config: Any
) -> dict[str, Any]:
    """One node; `after` are its dependencies, `timeout` its `timeout_seconds`."""
    limits = {} if timeout is None else {"timeout_seconds": timeout}
    return {"id": name, "handler": handler, "config": config, "dependencies": list(after), **limits}


def workflow(*nodes: dict[str, Any], name: str = "under test") -> dict[str, Any]:
    """A document of these nodes."""
    return {"name": name, "nodes": list(nodes)}


def add(name: str, a: object, b: object, *, after: Sequence[str] = ()) -> dict[str, Any]:
    """A node that adds two numbers."""
    return node(name, "compute", after=after, operation="add", a=a, b=b)


def same(name: str, value: object, *, after: Sequence[str] = ()) -> dict[str, Any]:
    """A node whose `result` is a list that holds what the template made of `value`."""
    return node(name, "aggregate", after=after, aggregate_type="list", inputs=[value])
