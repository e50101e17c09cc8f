"""`flowengine show` and `flowengine results`: one execution, or one node of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from flowengine.cli.stack.completing import complete_node
from flowengine.cli.stack.options import execution_argument, json_option
from flowengine.cli.stack.reaching import stack
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowengine.client import Client
    from flowengine.execution.status import NodeStatus
    from flowengine.execution.views.executions import ExecutionView, NodeView, TriggerView, TurnView


@click.command()
@execution_argument
@click.argument("node", required=False, shell_complete=complete_node)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    metavar="STATUS",
    help="Only nodes of this status; repeat it for several.",
)
@json_option
def show(execution: str, node: str | None, statuses: tuple[str, ...], as_json: bool) -> None:
    """Show an execution and its nodes: what they do, and why one has failed. With NODE, all of that one."""
    if node is not None and statuses:
        raise click.UsageError("--status is of all nodes: leave out NODE")
    from flowengine.cli.output.tables import print_json_line
    from flowengine.cli.stack.ids import whole_id

    with stack(as_json=as_json) as client:
        found = whole_id(client, execution)
        detail = None if node is None else client.node(found, node)
        wanted = cast("Sequence[NodeStatus]", statuses)
        view = client.status(found, node_status=wanted) if detail is None else None
    if as_json:
        print_json_line(view or detail)
    elif detail is not None:
        from flowengine.cli.output.node_page import print_node

        print_node(detail)
    elif view is not None:
        _print_execution(view, none="It has no such node." if statuses else "It has no nodes.")


def _print_execution(view: ExecutionView, *, none: str) -> None:
    from flowengine.cli.output.progress import shown_nodes
    from flowengine.cli.output.tables import print_rows

    facts = list(_told(view))
    width = max(len(name) for name, _ in facts)
    for name, told in facts:
        click.echo(f"{name:<{width}}  {plain_text(told)}")
    click.echo()
    print_rows(
        ("node", "status", "handler", "attempt", "took", "why"),
        [_row(node) for node in shown_nodes(view)],
        nothing=none,
    )


@click.command()
@execution_argument
@json_option
def results(execution: str, as_json: bool) -> None:
    """Print the results of an execution: outputs of its nodes, and errors."""
    from flowengine.cli.stack.ids import whole_id

    with stack(as_json=as_json) as client:
        print_outcome(client, whole_id(client, execution), as_json=as_json)


def print_outcome(
    client: Client, execution: str, *, as_json: bool, view: ExecutionView | None = None
) -> None:
    """Print the results of an execution, as `flowengine run` does."""
    from flowengine.cli.output.tables import print_json_line

    found = client.results(execution)
    if as_json:
        print_json_line(found)
        return
    from flowengine.cli.output.console import OutputConsole
    from flowengine.cli.output.results import print_results

    print_results(OutputConsole(), client.status(execution) if view is None else view, found)


def _told(view: ExecutionView) -> Iterator[tuple[str, str]]:
    import msgspec

    yield "id", view.execution_id
    version = "" if isinstance(view.version, msgspec.UnsetType) else f", version {view.version}"
    yield "name", f"{view.name}{version}"
    yield "status", view.status if view.run < 2 else f"{view.status}, run {view.run}"
    if not isinstance(view.error, msgspec.UnsetType):
        node = "" if view.error.node is None else f" (node {view.error.node})"
        yield "error", f"{view.error.code}: {view.error.message}{node}"
    if not isinstance(view.waiting_for, msgspec.UnsetType):
        yield "waits", _turn(view.waiting_for)
    if not isinstance(view.cancel_requested, msgspec.UnsetType):
        by = "" if view.cancel_requested.by is None else f" by {view.cancel_requested.by}"
        said = "" if view.cancel_requested.reason is None else f": {view.cancel_requested.reason}"
        yield "cancel", f"asked for at {view.cancel_requested.at}{by}{said}"
    if not isinstance(view.parent, msgspec.UnsetType):
        yield "parent", f"{view.parent.execution_id} (node {view.parent.node}), below {view.parent.root}"
    if not isinstance(view.trigger, msgspec.UnsetType):
        yield "trigger", " ".join(_words_of(view.trigger))
    for each in () if isinstance(view.followers, msgspec.UnsetType) else view.followers:
        yield "followed by", f"{each.name}: {each.execution_id or f'nothing, {each.code}: {each.message}'}"
    if not isinstance(view.rerun_of, msgspec.UnsetType):
        yield "rerun of", f"{view.rerun_of.execution_id}, run {view.rerun_of.run}"
    if view.labels:
        yield "labels", ", ".join(f"{name}={value}" for name, value in view.labels.items())
    if not isinstance(view.inputs, msgspec.UnsetType):
        yield "inputs", msgspec.json.encode(view.inputs).decode()
    yield "correlation", view.correlation_id
    yield "created", view.created_at
    if view.started_at is not None:
        yield "started", view.started_at
    if view.finished_at is not None:
        yield "finished", view.finished_at


def _turn(turn: TurnView) -> str:
    """For what one waits that was triggered and has not begun."""
    place = "" if turn.place is None else f", place {turn.place} of a line in which {turn.limit} run at once"
    return f"for its turn under the key {turn.key}{place}, since {turn.since}"


def _words_of(trigger: TriggerView) -> Iterator[str]:
    """What has started an execution, in one line."""
    yield trigger.kind
    said = (trigger.schedule, trigger.scheduled_at, trigger.workflow, trigger.status, trigger.execution_id)
    for each in said:
        if isinstance(each, str):
            yield each


def _row(node: NodeView) -> tuple[str, ...]:
    from flowengine.cli.output.progress import elapsed

    return (
        node.id,
        node.status,
        node.handler,
        str(node.attempt or ""),
        elapsed(node.started_at, node.finished_at),
        _why(node),
    )


def _why(node: NodeView) -> str:
    from flowengine.cli.output.node_page import map_words
    from flowengine.cli.output.progress import WHY_SKIPPED, waiting_words

    if node.skipped:
        return WHY_SKIPPED[node.skipped]
    parts = [map_words(node.map)] if node.map else []
    parts += [] if node.error is None else [f"{node.error.code}: {node.error.message}"]
    if node.iteration:
        parts.append(f"iteration {node.iteration}")
    if node.tolerated:
        parts.append("tolerated")
    if node.waiting_for and (node.waiting_for.kind == "turn" or node.waiting_for.until is not None):
        retries = node.waiting_for.kind == "retry"
        parts.append(f"next try at {node.waiting_for.until}" if retries else waiting_words(node.waiting_for))
    if node.child:
        parts.append(f"runs as {node.child}")
    return "; ".join(parts)
