"""`flowengine logs` and `flowengine events`: what nodes have said, and what has happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import click

from flowengine.cli.stack.completing import complete_node
from flowengine.cli.stack.options import execution_argument, json_option
from flowengine.cli.stack.reaching import stack
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from flowengine.client import Client
    from flowengine.execution.history.views import EventPage, EventView, LinePage, LineView

QUICKEST_S: Final = 0.1
SLOWEST_S: Final = 1.0
GROWTH: Final = 1.5
CUT: Final = "... earlier ones were dropped: there were too many"


@click.command()
@execution_argument
@click.argument("node", required=False, shell_complete=complete_node)
@click.option("--attempt", type=click.IntRange(1), help="Only this attempt of the node.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the execution has ended.")
@json_option
def logs(execution: str, node: str | None, attempt: int | None, follow: bool, as_json: bool) -> None:
    """Print what the nodes of an execution have logged and printed, or one NODE of it."""
    if attempt is not None and node is None:
        raise click.UsageError("--attempt is of one node: name the node as well")
    from flowengine.cli.stack.ids import whole_id

    with stack(as_json=as_json) as client:
        found = whole_id(client, execution)

        def page(cursor: str | None) -> LinePage:
            return client.logs_page(found, node=node, attempt=attempt, cursor=cursor)

        anything = False
        for line in _items(page, _ended(client, found) if follow else None):
            anything = True
            _print(line, as_json=as_json)
    if not anything and not as_json:
        click.echo("Nothing was logged or printed.", err=True)


@click.command()
@execution_argument
@click.option("-f", "--follow", is_flag=True, help="Go on until the execution has ended.")
@json_option
def events(execution: str, follow: bool, as_json: bool) -> None:
    """Print what has happened in an execution, in its order."""
    from flowengine.cli.stack.ids import whole_id

    with stack(as_json=as_json) as client:
        found = whole_id(client, execution)

        def page(cursor: str | None) -> EventPage:
            return client.events_page(found, cursor=cursor)

        for event in _items(page, _ended(client, found) if follow else None):
            _print(event, as_json=as_json)


def _items(
    page: Callable[[str | None], EventPage | LinePage], has_ended: Callable[[], bool] | None
) -> Iterator[EventView | LineView]:
    """All items there are, and those that come until the execution has ended; None: those that there are."""
    cursor: str | None = None
    pause = QUICKEST_S
    while True:
        is_last = has_ended is None or has_ended()  # asked first: what it said at its end is read then
        anything = False
        more = True
        while more:
            found = page(cursor)
            if cursor is None and found.cut is True:
                click.echo(CUT, err=True)
            yield from found.items
            anything = anything or bool(found.items)
            cursor = found.next_cursor or (found.items[-1].id if found.items else cursor)
            more = found.next_cursor is not None
        if is_last:
            return
        pause = QUICKEST_S if anything else min(SLOWEST_S, pause * GROWTH)
        time.sleep(pause)


def _ended(client: Client, execution: str) -> Callable[[], bool]:
    """Whether the execution has ended, a child too, which no list has. One that is gone has.

    A list answers at once; for the state of one execution the API reads all of its nodes, each time.
    """
    from flowengine.client import RefusedError
    from flowengine.execution.status import is_over

    def has_ended() -> bool:
        for item in client.list_page(begins_with=execution, limit=1).items:
            if item.execution_id == execution:
                return is_over(item.status)
        try:
            return is_over(client.status(execution, nodes=False).status)
        except RefusedError as error:
            if error.status == 404:
                return True
            raise

    return has_ended


def _print(item: EventView | LineView, *, as_json: bool) -> None:
    from flowengine.cli.output.tables import print_json_line
    from flowengine.execution.history.views import LineView

    if as_json:
        print_json_line(item)
    else:
        click.echo(plain_text(_line(item) if isinstance(item, LineView) else _event(item)))


def _line(line: LineView) -> str:
    attempt = f" #{line.attempt}" if line.attempt > 1 else ""
    level = f" {line.level}" if line.level else ""
    fields = "".join(f" {name}={value}" for name, value in (line.fields or {}).items())
    return f"{line.at} {line.node}{attempt} [{line.source}{level}] {line.message}{fields}"


def _event(event: EventView) -> str:
    attempt = f" #{event.attempt}" if event.attempt and event.attempt > 1 else ""
    node = f" {event.node}{attempt}" if event.node else ""
    told = (
        event.mode,
        event.code,
        event.waits_for,
        event.signal,
        event.said,
        event.reason,
        event.stage,
        event.status,
        f"iteration {event.iteration}" if event.iteration else "",
        f"as {event.child}" if event.child else "",
        f"run {event.run}" if event.run else "",
        f"by {event.by}" if event.by else "",
        f"({event.explanation})" if event.explanation else "",
    )
    return f"{event.at} {event.kind}{node}" + "".join(f" {each}" for each in told if each)
