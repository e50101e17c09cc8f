"""`flowengine completion`: what a shell reads to complete commands, options, ids and names."""

from __future__ import annotations

import click

from flowengine.errors import CannotRunError


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands in SHELL.

    For bash: eval "$(flowengine completion bash)", for zsh likewise, for fish:
    flowengine completion fish | source. Ids and names come from the stack of FLOWENGINE_URL.
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    root = ctx.find_root().command
    if made is None:
        raise CannotRunError(f"there is no completion for {shell}")
    click.echo(made(root, {}, "flowengine", "_FLOWENGINE_COMPLETE").source())
