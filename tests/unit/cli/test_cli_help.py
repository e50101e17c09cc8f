"""`flowengine help`: the topics, one of them, and what a wrong name is answered."""

from __future__ import annotations

import io
import re

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from flowengine.cli.commands.help import TOPICS
from flowengine.cli.output.reference_page import WIDEST, print_page
from flowengine.cli.tool import tool
from flowengine.settings.table import SETTINGS


def run(*arguments: str) -> Result:
    """The command in this process, its two outputs apart, neither on a terminal."""
    return CliRunner().invoke(tool, ["help", *arguments])


def rendered(text: str, *, width: int) -> list[str]:
    """The lines of a page on a terminal that many columns wide."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=width)
    print_page(console, text)
    assert isinstance(console.file, io.StringIO)
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in console.file.getvalue().splitlines()]


def test_topics_are_listed_with_one_line_each() -> None:
    """In order, each line fitting a terminal of 80 columns."""
    listed = run().stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(TOPICS)
    assert all(len(line) < 80 and line.endswith(".") for line in listed)


@pytest.mark.parametrize("topic", TOPICS)
def test_topic_is_plain_text_in_a_pipe(topic: str) -> None:
    """No escape sequences, no marks that are there for tests, links to topics in words."""
    result = run(topic)
    assert result.exit_code == 0
    assert result.stdout.startswith("# ")
    assert "\x1b" not in result.stdout
    assert "<!--" not in result.stdout
    assert ".md)" not in result.stdout
    assert result.stdout.endswith("\n")


def test_link_to_a_topic_names_the_command() -> None:
    """One cannot click it."""
    assert "see secrets (`flowengine help secrets`)" in run("templates").stdout


@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("width", [20, 80, 200])
def test_topic_fits_the_terminal(topic: str, width: int) -> None:
    """No line is wider than the terminal, or than is easy to read."""
    lines = rendered(run(topic).stdout, width=width)
    assert max(map(len, lines)) <= min(width, WIDEST)


def test_names_in_tables_stay_whole_on_a_terminal() -> None:
    """The name of a setting can be copied from 80 columns."""
    shown = "\n".join(rendered(run("settings").stdout, width=80))
    assert [setting.name for setting in SETTINGS if setting.name not in shown] == []
    assert "…" not in shown


@pytest.mark.parametrize(
    ("word", "hint"),
    [("limts", "did you mean 'limits'? Topics: document, "), ("qqq", ". Topics: document, ")],
)
def test_unknown_topic_names_the_nearest_and_all(word: str, hint: str) -> None:
    """Exit code 2, as for any wrong input."""
    result = run(word)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"there is no topic '{word}'" in result.stderr
    assert hint in result.stderr


def test_unknown_topic_does_not_act_on_the_terminal() -> None:
    """Escape sequences in it are escaped."""
    assert "\x1b" not in run("\x1b[2J").stderr
