"""What a shell proposes: ids, names and nodes, asked of the stack. Silent, and short, where there is none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

    from flowengine.client import Client

PATIENCE_S: Final = 0.8
"""A shell waits no longer than this for an answer; the start of the tool comes on top."""

_MOST: Final = 50
_MOST_NAMES: Final = 500

Proposal: TypeAlias = tuple[str, str | None]


def complete_id(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest executions, with their names."""
    return _proposed(
        lambda client: [
            (item.execution_id, f"{item.status} {item.name}")
            for item in client.list_page(begins_with=incomplete or None, limit=_MOST).items
            if item.execution_id.startswith(incomplete)
        ]
    )


def complete_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of the newest executions."""
    return _proposed(
        lambda client: [
            (name, None)
            for name in dict.fromkeys(
                item.name for item in client.list_page(begins_with=incomplete or None, limit=_MOST).items
            )
            if name.startswith(incomplete)
        ]
    )


def complete_definition(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of definitions."""
    return _proposed(
        lambda client: [
            (item.name, item.description or None)
            for item in client.definitions_page(limit=_MOST_NAMES).items
            if item.name.startswith(incomplete)
        ]
    )


def complete_schedule(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The schedules of the definition that stands before."""
    name = str(ctx.params.get("name") or "")
    return _proposed(
        lambda client: [
            (item.id, item.cron)
            for item in client.schedules_page(name=name, limit=_MOST_NAMES).items
            if item.id.startswith(incomplete)
        ]
    )


def complete_node(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The nodes of the execution that stands before."""
    from flowengine.cli.stack.ids import whole_id

    given = str(ctx.params.get("execution") or "")
    return _proposed(
        lambda client: [
            (node.id, node.status)
            for node in client.status(whole_id(client, given)).nodes
            if node.id.startswith(incomplete)
        ]
    )


def complete_status(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The statuses of executions."""
    from typing import get_args

    from click.shell_completion import CompletionItem

    from flowengine.execution.status import ExecutionStatus

    return [CompletionItem(each) for each in get_args(ExecutionStatus) if each.startswith(incomplete)]


def _proposed(ask: Callable[[Client], Sequence[Proposal]]) -> list[CompletionItem]:
    """What the stack proposes. Nothing, if it does not say so in time or refuses."""
    from click.shell_completion import CompletionItem

    found: list[Proposal] = []
    asking = threading.Thread(target=_ask, args=(ask, found), daemon=True)
    asking.start()
    asking.join(PATIENCE_S)
    return [
        CompletionItem(value, help=told if told is None or told.isprintable() else None)
        for value, told in list(found)
        if value.isprintable()
    ]


def _ask(ask: Callable[[Client], Sequence[Proposal]], found: list[Proposal]) -> None:
    from flowengine.client import Client
    from flowengine.errors import FlowEngineError

    try:
        with Client(timeout_s=PATIENCE_S) as client:
            found.extend(ask(client))
    except (FlowEngineError, ValueError):
        return
