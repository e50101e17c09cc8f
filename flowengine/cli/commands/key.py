"""`flowengine key new`: makes an API key and stores nothing."""

from __future__ import annotations

import click

from flowengine.access.roles import ROLES, Role


@click.group()
def key() -> None:
    """Make API keys."""


@key.command()
@click.argument("key_id", metavar="ID")
@click.option(
    "--role", type=click.Choice(ROLES), default="admin", show_default=True, help="What its holder may do."
)
def new(key_id: str, role: Role) -> None:
    """Make a new API key called ID.

    Prints the key, which only its user should hold, and the entry for FLOWENGINE_API_KEYS, which
    holds only the key's digest and role. What each role may: flowengine help api
    """
    from flowengine.api.access.api_keys import new_key

    secret, entry = new_key(key_id, role)
    click.echo(f"key:    {secret}")
    click.echo(f"entry:  {entry}")
    click.echo(
        "\nGive the key to its user: it is not shown again. Add the entry to FLOWENGINE_API_KEYS\n"
        "(several are separated by commas) and restart the API. Requests then carry\n"
        "Authorization: Bearer KEY",
        err=True,
    )
