"""`flowengine key`: makes, lists and revokes the keys of the API, in Redis itself."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

import click

from flowengine.access.roles import ROLES, Role
from flowengine.cli.output.json_output import print_json
from flowengine.cli.tool_settings import read_settings
from flowengine.errors import CannotRunError
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowengine.access.records import ApiKey
    from flowengine.settings import Settings
    from flowengine.store.access.redis_access import RedisAccess

_UNITS_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS: Final = 3650 * _UNITS_MS["d"]
SETTING: Final = "FLOWENGINE_API_KEYS"


def _lifetime(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """How long a key is valid, in milliseconds."""
    if value is None:
        return None
    found = re.fullmatch(r"([1-9][0-9]{0,6})([mhd])", value)
    lifetime = int(found[1]) * _UNITS_MS[found[2]] if found else 0
    if not 0 < lifetime <= _LONGEST_MS:
        raise click.BadParameter(f"{value!r} is no such time: say 30m, 12h or 90d, at most 3650d")
    return lifetime


def _patterns(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """The patterns of definitions that a key is for."""
    from flowengine.access.scope import MAX_PATTERNS, wrong_with_pattern

    if len(value) > MAX_PATTERNS:
        raise click.BadParameter(f"a key has at most {MAX_PATTERNS} patterns, not {len(value)}")
    for pattern in value:
        if wrong := wrong_with_pattern(pattern):
            raise click.BadParameter(f"{pattern[:60]!r} is no pattern of names: {wrong}")
    return value


@click.group()
def key() -> None:
    """Make, list and revoke API keys.

    They are kept in Redis: REDIS_URL says which. Once there is one, the API asks for a key.
    """


@key.command()
@click.argument("key_id", metavar="ID")
@click.option(
    "--role", type=click.Choice(ROLES), default="admin", show_default=True, help="What its holder may do."
)
@click.option("--expires", callback=_lifetime, metavar="90d", help="How long it is valid: 30m, 12h, 90d.")
@click.option(
    "--definitions",
    callback=_patterns,
    multiple=True,
    metavar="PATTERN",
    help="Only for applied definitions of such names: 'etl-*'. May be repeated.",
)
@click.option("--entry", is_flag=True, help=f"Keep nothing: print an entry for {SETTING}.")
def new(key_id: str, role: Role, expires: int | None, definitions: tuple[str, ...], entry: bool) -> None:
    """Make a new API key called ID, and keep its digest in Redis.

    Prints the key, which only its user should hold. What each role may: flowengine help api
    """
    from flowengine.api.access.api_keys import key_of_entry, new_key

    if entry and expires is not None:
        raise click.UsageError(
            "a key of --entry does not expire by itself: take its entry out of the setting"
        )
    if entry and definitions:
        raise click.UsageError("a key of --entry is for all definitions: leave out one of the two")
    secret, text = new_key(key_id, role)
    if not entry:
        _keep(key_of_entry(text), expires, definitions)
    click.echo(f"key:    {secret}")
    if entry:
        click.echo(f"entry:  {text}")
        click.echo(
            f"\nGive the key to its user: it is not shown again. Add the entry to {SETTING}\n"
            "(several are separated by commas) and restart the API. Requests then carry\n"
            "Authorization: Bearer KEY",
            err=True,
        )
    else:
        click.echo(
            f"\nIts role is {role}{_only_for(definitions)}. Give the key to its user: it is not shown "
            f"again.\nRequests carry\nAuthorization: Bearer KEY",
            err=True,
        )


@key.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(as_json: bool) -> None:
    """List the keys: those in Redis, and those of FLOWENGINE_API_KEYS as this command sees it."""
    settings = read_settings()
    with _access(settings) as access:
        found = access.keys({})
    keys = [*_of_settings(settings), *found.keys]
    if as_json:
        print_json([_described(item) for item in keys])
    elif keys:
        _print_table(keys, found.now)
    else:
        told = "There is no key any more, and the API asks for one." if found.any_made else "There is no key."
        click.echo(f"{told} flowengine key new ID makes one.", err=True)


@key.command()
@click.argument("key_id", metavar="ID")
def revoke(key_id: str) -> None:
    """Revoke the key called ID. It opens nothing within 15 seconds.

    The API goes on asking for a key when the last one is gone.
    """
    from flowengine.access.acting import Note, acting
    from flowengine.access.records import Actor

    settings = read_settings()
    with _access(settings) as access, acting(Note(action="revoke_key", actor=Actor())):
        was_there = access.revoke(key_id)
    if was_there:
        click.echo(f"revoked: {plain_text(key_id)}")
        return
    if key_id in {item.id for item in _of_settings(settings)}:
        raise click.UsageError(f"the key '{key_id}' is in {SETTING}: take its entry out, and restart the API")
    raise click.UsageError(plain_text(f"no key is called '{key_id}'. See: flowengine key list"))


def _only_for(definitions: tuple[str, ...]) -> str:
    return plain_text(f", for the definitions {', '.join(definitions)}") if definitions else ""


def _keep(made: ApiKey, expires: int | None, definitions: tuple[str, ...]) -> None:
    from msgspec.structs import replace

    from flowengine.access.acting import Note, acting
    from flowengine.access.records import Actor

    settings = read_settings()
    taken = made.id in {item.id for item in _of_settings(settings)}
    with _access(settings) as access, acting(Note(action="make_key", actor=Actor())):
        now = access.now()
        until = None if expires is None else now + expires
        kept = replace(made, kept_in="redis", created_at=now, expires_at=until, definitions=definitions)
        if taken or not access.add_key(kept):
            raise click.UsageError(
                f"there is a key called '{made.id}': choose another name, or revoke it first"
            )


@contextlib.contextmanager
def _access(settings: Settings) -> Iterator[RedisAccess]:
    """Keys in Redis. Raises CannotRunError if it does not answer."""
    from flowengine.bootstrap import build_access
    from flowengine.errors import StoreUnavailableError

    with contextlib.closing(build_access(settings)) as access:
        try:
            yield access
        except StoreUnavailableError as error:
            raise CannotRunError(
                f"{error}: REDIS_URL must name the Redis of the API. For a key that needs no Redis: "
                "flowengine key new ID --entry"
            ) from error


def _of_settings(settings: Settings) -> list[ApiKey]:
    from flowengine.api.access.api_keys import key_of_entry

    return [key_of_entry(entry) for entry in settings.api_keys]


def _described(item: ApiKey) -> dict[str, object]:
    from flowengine.execution.views.executions import moment_or_none

    return {
        "id": item.id,
        "role": item.role,
        "definitions": item.definitions,
        "kept_in": item.kept_in,
        "created_at": moment_or_none(item.created_at),
        "expires_at": moment_or_none(item.expires_at),
        "last_used_at": moment_or_none(item.used_at),
    }


def _print_table(keys: Sequence[ApiKey], now: int) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from flowengine.cli.output.console import OutputConsole

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("id", "role", "definitions", "kept in", "created", "expires", "last used"):
        table.add_column(heading, no_wrap=heading == "id", overflow="fold")
    for item in keys:
        table.add_row(*(Text(plain_text(cell)) for cell in _cells(item, now)))
    OutputConsole().print(table)


def _cells(item: ApiKey, now: int) -> Iterator[str]:
    from flowengine.cli.output.tables import shown_time

    said = _described(item)
    yield item.id
    yield item.role
    yield ", ".join(item.definitions)
    yield SETTING if item.kept_in == "settings" else "Redis"
    for name in ("created_at", "expires_at", "last_used_at"):
        shown = shown_time(str(said[name] or ""))
        yield f"{shown} (expired)" if name == "expires_at" and item.has_expired(now) else shown
