"""What a template may do with a secret: hand it on as it is, and nothing that makes another text of it.

Secrets are taken out of results and errors by a search for them. A secret that was cut, reversed or put into
capitals is another text, which no search finds. So a template may only hand a secret on whole, in a spelling
that is searched for. Evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from jinja2 import nodes

from flowengine.template.errors import SecretNotAllowedError
from flowengine.template.reference import SECRETS

FILTERS_FOR_SECRETS: Final = ("d", "default", "tojson", "trim", "urlencode")


def refuse_altered_secrets(tree: nodes.Template) -> None:
    """Raises SecretNotAllowedError where an expression makes another text of a secret.

    The tree has been read by `grammar`, which bounds its depth.
    """
    for output in tree.find_all(nodes.Output):
        for part in output.nodes:
            _check(part)


def _check(node: nodes.Node) -> None:
    if _is_secret(node):
        return
    # By identity: nodes are equal where they are written alike.
    handed_on = {id(part) for part in _handed_on(node)}
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
    return ()


def _is_secret(node: nodes.Node) -> bool:
    owner = node.node if isinstance(node, nodes.Getattr | nodes.Getitem) else None
    return isinstance(owner, nodes.Name) and owner.name == SECRETS


def _holds_secret(node: nodes.Node) -> bool:
    return _is_secret(node) or any(
        _is_secret(inner) for inner in node.find_all((nodes.Getattr, nodes.Getitem))
    )


def _reason(node: nodes.Node) -> str:
    what = f"the filter '{node.name}'" if isinstance(node, nodes.Filter) else "this expression"
    return (
        f"{what} would make another text of a secret, which could not be kept out of results and logs: "
        f"write {{{{ {SECRETS}.NAME }}}} alone, in a text or with '~' "
        f"(filters: {', '.join(FILTERS_FOR_SECRETS)}), and alter it in the handler or service that takes it"
    )
