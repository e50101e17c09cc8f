"""`flowengine handlers` and `flowengine schema`: what workflows on this installation can say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowengine.cli.output.json_output import print_json
from flowengine.cli.tool_settings import read_settings
from flowengine.plaintext import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flowengine.cli.output.field_words import FieldWords
    from flowengine.plugin import Handler, Registry


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the schema of every config.")
def handlers(name: str | None, as_json: bool) -> None:
    """List the handlers that nodes can name, or show one in full.

    Fields with * are required; = gives the default of the others.
    """
    registry = _registry()
    if name is not None:
        item = registry.get(name)
        if item is None:
            raise click.UsageError(_unknown(name, registry))
        print_json(_describe(item)) if as_json else _print_in_full(item)
    elif as_json:
        print_json([_describe(item) for item in registry])
    else:
        _print_table(registry)


@click.command()
@click.option("--tests", is_flag=True, help="That of files of tests in its place.")
def schema(tests: bool) -> None:
    """Print the JSON Schema of the workflow document, for editors.

    \b
    flowengine schema > workflow.schema.json
    then, as the first line of a workflow:
    # yaml-language-server: $schema=workflow.schema.json

    \b
    `flowengine dev` and each API serve both:
    http://127.0.0.1:8000/docs/workflow.schema.json and /docs/tests.schema.json
    """
    if tests:
        from flowengine.testing.cases.case_file import schema as schema_of_tests

        print_json(schema_of_tests())
        return
    from flowengine.workflow.schema import document_schema

    print_json(document_schema(_registry()))


def _registry() -> Registry:
    from flowengine.handlers.loading import load_registry

    return load_registry(read_settings().handlers)


def _unknown(name: str, registry: Registry) -> str:
    from flowengine.nearest_name import nearest_name
    from flowengine.workflow.problems import did_you_mean

    meant = did_you_mean(nearest_name(name, registry.names())) or "."
    return plain_text(f"no handler called '{name}'{meant} Handlers: {', '.join(registry.names())}")


def _describe(item: Handler) -> dict[str, object]:

    from flowengine.cli.output.field_words import config_schema, output_in_words

    output = None if item.output_type is None else output_in_words(item.output_type)
    return {
        "name": item.name,
        "summary": item.summary,
        "queue": item.queue,
        "config": config_schema(item.config_type),
        "output": output,
    }


def _print_table(registry: Registry) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from flowengine.cli.output.console import OutputConsole
    from flowengine.cli.output.field_words import fields_in_words

    console = OutputConsole()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_lines=False)
    table.add_column("handler", no_wrap=True, overflow="fold")
    table.add_column("what it does; what its config takes (= default)", overflow="fold", ratio=3)
    table.add_column("config (* required)", overflow="fold", ratio=1)
    for item in registry:
        fields = fields_in_words(item.config_type)
        lines = [f"  {field.name}: {field.kind_and_default}" for field in fields]
        labels = ", ".join(field.label for field in fields)
        cells = (item.name, "\n".join([item.summary, *lines]), labels)
        table.add_row(*(Text(plain_text(cell, keep_lines=True)) for cell in cells), end_section=True)
    console.print(table)
    click.echo("flowengine handlers NAME shows one in full.", err=True)


def _print_in_full(item: Handler) -> None:
    from flowengine.cli.output.field_words import fields_in_words, no_fields, output_in_words

    lines = [item.name, f"  {item.summary}", "", "config (* required):"]
    lines += list(_in_full(fields_in_words(item.config_type), 1)) or [f"  {no_fields(item.config_type)}"]
    lines += ["", "output:"]
    if item.output_type is None:
        lines.append("  not known before it has run")
    else:
        lines += [f"  {name}: {kind}" for name, kind in output_in_words(item.output_type).items()]
    if item.primary is not None:
        lines.append(f"  X.result means: {item.primary}")
    lines += ["", f"queue: {item.queue}"]
    if not item.secrets:
        lines.append("takes no secrets")
    if item.isolated:
        lines.append("runs in a child process")
    click.echo(plain_text("\n".join(lines), keep_lines=True))


def _in_full(fields: Sequence[FieldWords], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for field in fields:
        yield f"{indent}{field.label}: {field.kind}"
        if field.description:
            yield f"{indent}    {field.description}"
        if field.default is not None:
            yield f"{indent}    default: {field.default}"
        yield from _in_full(field.parts, depth + 2)
