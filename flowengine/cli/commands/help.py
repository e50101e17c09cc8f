"""`flowengine help`: the reference, from the installed package, in a terminal.

Decides the order of the topics and how they look. What they say stands in `flowengine/reference/`.
"""

from __future__ import annotations

import re

import click

from flowengine.plaintext import plain_text

TOPICS = (
    "document",
    "inputs",
    "flow",
    "waits",
    "concurrency",
    "groups",
    "templates",
    "handlers",
    "secrets",
    "testing",
    "definitions",
    "schedules",
    "chains",
    "commands",
    "import",
    "api",
    "errors",
    "failures",
    "settings",
    "limits",
    "operating",
    "speed",
    "contributing",
)
"""In the order in which a newcomer needs them."""

_COMMENT = re.compile(r"^<!--.*-->\n", re.MULTILINE)
_LINK = re.compile(r"\[([^]\[]+)\]\(([a-z]+)\.md(?:#[\w-]+)?\)")


@click.command("help")
@click.argument("topic", required=False)
def show_help(topic: str | None) -> None:
    """Show a topic of the reference, or list the topics."""
    if topic is None:
        _list_topics()
    elif topic in TOPICS:
        _show(topic)
    else:
        raise click.UsageError(_unknown(topic))


def _list_topics() -> None:
    width = max(map(len, TOPICS))
    for topic in TOPICS:
        click.echo(f"{topic:<{width}}  {_summary(topic)}")
    click.echo("\nflowengine help TOPIC shows one.", err=True)


def _show(topic: str) -> None:
    from flowengine.cli.output.console import OutputConsole

    text = _readable(_text(topic))
    console = OutputConsole()
    if console.is_terminal and not console.is_dumb_terminal:
        from flowengine.cli.output.reference_page import print_page

        print_page(console, text)
    else:
        click.echo(text, nl=False)


def _text(topic: str) -> str:
    from importlib.resources import files

    return files("flowengine").joinpath("reference", f"{topic}.md").read_text(encoding="utf-8")


def _summary(topic: str) -> str:
    """The topic's first paragraph, which is one sentence."""
    return _text(topic).split("\n\n", 2)[1].replace("\n", " ")


def _readable(text: str) -> str:
    """Without marks that are there for tests, and with links in words: one cannot click them."""

    def worded(link: re.Match[str]) -> str:
        words, topic = link[1], link[2]
        return f"{words} (`flowengine help {topic}`)" if topic in TOPICS else words

    return _LINK.sub(worded, _COMMENT.sub("", text))


def _unknown(topic: str) -> str:
    from flowengine.nearest_name import nearest_name
    from flowengine.workflow.problems import did_you_mean

    meant = did_you_mean(nearest_name(topic, TOPICS)) or "."
    return f"there is no topic '{plain_text(topic)}'{meant} Topics: {', '.join(TOPICS)}"
