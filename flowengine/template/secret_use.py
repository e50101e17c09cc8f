"""What a template may do with a secret: hand it on as it is, and nothing that makes another text of it.

Secrets are taken out of results and errors by a search for them. A secret that was cut, reversed or put into
capitals is another text, which no search finds. So a template may only hand a secret on whole, in a spelling
that is searched for. Evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Final

from jinja2 import nodes

from flowengine.template.errors import SecretNotAllowedError
from flowengine.template.reference import SECRETS, VARS

FILTERS_FOR_SECRETS: Final = ("b64encode", "d", "default", "tojson", "trim", "urlencode")
FUNCTIONS_FOR_SECRETS: Final = ("coalesce",)
BASE64: Final = "b64encode"
SECRET_VARS: Final = "vars that read secrets"
"""Stands for `vars` in a tree where a read of it is a secret: of a text that may be written in any way."""

KEYED: Final = "hmac_sha256"
"""The filter whose key may be a secret: what it gives is made to be shown, and tells nothing of the key."""


def refuse_altered_secrets(tree: nodes.Template, given: Container[tuple[str, str]] = ()) -> None:
    """Raises SecretNotAllowedError where an expression makes another text of a secret, or of one of what is
    given and secret, each by its root and its name.

    The tree has been read by `grammar`, which bounds its depth. It is the caller's own: it is changed.
    """
    for read in tree.find_all((nodes.Getattr, nodes.Getitem)):
        _take_for_secret(read, given)
    for output in tree.find_all(nodes.Output):
        for part in output.nodes:
            _check(part)


def _take_for_secret(read: nodes.Node, given: Container[tuple[str, str]]) -> None:
    if not isinstance(read, nodes.Getattr | nodes.Getitem):
        return
    key = read.attr if isinstance(read, nodes.Getattr) else getattr(read.arg, "value", None)
    if isinstance(read.node, nodes.Name) and (read.node.name, key) in given:
        read.node.name = SECRET_VARS if read.node.name == VARS else SECRETS


def _check(node: nodes.Node) -> None:
    if _is_secret(node):
        return
    if isinstance(node, nodes.Filter) and node.name == BASE64 and _is_rewritten(node.node):
        raise SecretNotAllowedError(_reason(node))
    # By identity: nodes are equal where they are written alike.
    handed_on = {id(part) for part in (*_handed_on(node), *_keys(node))}
    for child in node.iter_child_nodes():
        if id(child) in handed_on:
            _check(child)
        elif _holds_secret(child):
            raise SecretNotAllowedError(_reason(node))


def _handed_on(node: nodes.Node) -> Iterable[nodes.Node]:
    """The parts of an expression that are in its value unchanged."""
    match node:
        case nodes.Concat() | nodes.List():
            return node.nodes if isinstance(node, nodes.Concat) else node.items
        case nodes.Dict():
            return node.items
        case nodes.Pair():
            return [node.value]
        case nodes.CondExpr():
            return [part for part in (node.expr1, node.expr2) if part is not None]
        case nodes.Filter() if node.name in FILTERS_FOR_SECRETS:
            return list(node.iter_child_nodes())
        case nodes.Keyword():
            return [node.value]
        case nodes.Call(node=nodes.Name(name=name)) if name in FUNCTIONS_FOR_SECRETS:
            return node.args
    return ()


def _is_rewritten(node: nodes.Node | None) -> bool:
    """Whether a secret in this expression is written in a way that is not looked for inside base64."""
    if node is None or not _holds_secret(node):
        return False
    rewritten = (
        isinstance(node, nodes.List | nodes.Dict)
        or _is_read_of(node, SECRET_VARS)
        or (isinstance(node, nodes.Filter) and node.name in ("tojson", "urlencode", BASE64))
    )
    return rewritten or any(_is_rewritten(child) for child in node.iter_child_nodes())


def _keys(node: nodes.Node) -> list[nodes.Expr]:
    """The keys of a filter that hides them."""
    if not isinstance(node, nodes.Filter) or node.name != KEYED:
        return []
    return [*node.args, *(named.value for named in node.kwargs if named.key == "key")]


def _is_secret(node: nodes.Node) -> bool:
    return _is_read_of(node, SECRETS) or _is_read_of(node, SECRET_VARS)


def _is_read_of(node: nodes.Node, root: str) -> bool:
    owner = node.node if isinstance(node, nodes.Getattr | nodes.Getitem) else None
    return isinstance(owner, nodes.Name) and owner.name == root


def _holds_secret(node: nodes.Node) -> bool:
    """Whether the value of an expression tells of a secret."""
    hidden = {id(key) for key in _keys(node)}
    return _is_secret(node) or any(
        _holds_secret(child)
        for child in node.iter_child_nodes()
        if id(child) not in hidden and not (isinstance(child, nodes.Keyword) and id(child.value) in hidden)
    )


def _reason(node: nodes.Node) -> str:
    what = "this expression"
    if isinstance(node, nodes.Filter):
        what = f"the filter '{node.name}'"
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
        what = f"the function '{node.node.name}'"
    return (
        f"{what} would make another text of a secret, which could not be kept out of results and logs: "
        f"write {{{{ {SECRETS}.NAME }}}} alone, in a text or with '~' "
        f"(filters: {', '.join(FILTERS_FOR_SECRETS)}; as the key of {KEYED}), "
        "and alter it in the handler or service that takes it"
    )
