"""`flowengine handlers` and `flowengine schema`: what workflows on this installation can say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowengine.cli.output.json_output import print_json
from flowengine.cli.tool_settings import read_settings
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from flowengine.plugin import Handler, Registry


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the schema of every config.")
def handlers(as_json: bool) -> None:
    """List the handlers that nodes can name."""
    registry = _registry()
    if as_json:
        print_json([_describe(item) for item in registry])
    else:
        _print_table(registry)


@click.command()
def schema() -> None:
    """Print the JSON Schema of the workflow document, for editors.

    \b
    flowengine schema > workflow.schema.json
    then, as the first line of a workflow:
    # yaml-language-server: $schema=workflow.schema.json
    """
    from flowengine.workflow.schema import document_schema

    print_json(document_schema(_registry()))


def _registry() -> Registry:
    from flowengine.handlers import load_registry

    return load_registry(read_settings().handlers)


def _describe(item: Handler) -> dict[str, object]:
    import msgspec

    return {
        "name": item.name,
        "summary": item.summary,
        "queue": item.queue,
        "config": msgspec.json.schema(item.config_type),
    }


def _print_table(registry: Registry) -> None:
    import msgspec
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("handler", no_wrap=True)
    table.add_column("what it does")
    table.add_column("config (* required)")
    for item in registry:
        fields = msgspec.structs.fields(item.config_type)
        config = ", ".join(f"{field.encode_name}{'*' if field.required else ''}" for field in fields)
        table.add_row(*(Text(plain_text(cell)) for cell in (item.name, item.summary, config)))
    Console().print(table)
