"""`flowengine dead-letters`: messages that were set aside."""

from __future__ import annotations

import click

from flowengine.cli.stack.options import json_option
from flowengine.cli.stack.reaching import stack


@click.group("dead-letters", invoke_without_command=True)
@json_option
@click.pass_context
def dead_letters(ctx: click.Context, as_json: bool) -> None:
    """List the dead letters of a stack; retry or delete one."""
    if ctx.invoked_subcommand is not None:
        return
    from flowengine.cli.output.tables import print_json_line, print_rows, shown_time

    with stack(as_json=as_json) as client:
        letters = list(client.dead_letters(limit=500))
    if as_json:
        for letter in letters:
            print_json_line(letter)
        return
    print_rows(
        ("id", "reason", "buried", "execution", "node", "handler", "retry"),
        [
            (
                letter.id,
                letter.reason,
                shown_time(letter.buried_at),
                letter.execution_id or "",
                letter.node or "",
                letter.handler or "",
                letter.retry,
            )
            for letter in letters
        ],
        nothing="There are no dead letters.",
    )


@dead_letters.command()
@click.argument("letter", metavar="ID")
@json_option
def retry(letter: str, as_json: bool) -> None:
    """Trigger the execution of a dead letter again, or send its message again."""
    from flowengine.cli.output.tables import print_json_line

    with stack(as_json=as_json) as client:
        done = client.retry_dead_letter(letter)
    if as_json:
        print_json_line(done)
    else:
        click.echo(f"{done.done}: {done.execution_id or done.id}")


@dead_letters.command()
@click.argument("letter", metavar="ID")
@json_option
def delete(letter: str, as_json: bool) -> None:
    """Delete a dead letter. A node that has failed with it stays failed."""
    from flowengine.cli.output.tables import print_json_line

    with stack(as_json=as_json) as client:
        done = client.delete_dead_letter(letter)
    if as_json:
        print_json_line(done)
    else:
        click.echo(f"deleted: {done.id}")
