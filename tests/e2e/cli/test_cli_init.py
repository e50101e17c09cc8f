"""`flowengine init`: what it makes works as it is, and nothing is written over."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from flowengine.cli.authoring.new_project import project_name
from flowengine.cli.tool import tool
from tests.support.rigs.stack_processes import FLOWENGINE, clean_environment

MADE = {
    "workflows/greeting.yaml",
    "workflows/greeting.test.yaml",
    "my_handlers.py",
    "tests/test_greeting.py",
    "pyproject.toml",
    ".env.example",
    ".env",
    ".gitignore",
    ".github/workflows/ci.yml",
    "README.md",
}


def init(*arguments: str) -> Result:
    """The command in this process."""
    return CliRunner().invoke(tool, ["init", *arguments])


def ran(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command in the project, as its user runs it."""
    return subprocess.run(
        command, cwd=folder, env=clean_environment(**settings), capture_output=True, text=True, timeout=100
    )


def files(folder: Path) -> set[str]:
    """What is there."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_new_project_is_valid_and_its_tests_pass(tmp_path: Path) -> None:
    """With the settings that it brings: its workflow finds its handler, in tests and in a run."""
    folder = tmp_path / "My Shop"
    made = init(str(folder))
    assert made.exit_code == 0, made.output
    assert f"cd '{folder}'" in made.stdout
    assert files(folder) == MADE
    checked = ran(folder, FLOWENGINE, "validate", "workflows")
    assert (checked.returncode, checked.stderr) == (0, "1 file valid\n"), checked.stdout
    laid_out = ran(folder, FLOWENGINE, "fmt", "--check", "workflows")
    assert (laid_out.returncode, laid_out.stdout) == (0, "")
    cases = ran(folder, FLOWENGINE, "test", "workflows")
    assert cases.returncode == 0, cases.stdout + cases.stderr
    done = ran(folder, FLOWENGINE, "run", "workflows/greeting.yaml", "--json", "--input", 'names=["Ada"]')
    assert json.loads(done.stdout)["outputs"] == {"greetings": ["Hello, Ada!"], "people": 1}
    tested = ran(folder, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout
    assert "2 passed" in tested.stdout


def test_project_says_what_it_needs_and_ci_checks_it(tmp_path: Path) -> None:
    """Its files are what the tools take that read them; secrets stay out of git."""
    folder = tmp_path / "My Shop"
    init(str(folder))
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == "my-shop"
    assert project["dependencies"] == ["flowengine[embedded]>=0.2"]
    ci = yaml.safe_load((folder / ".github/workflows/ci.yml").read_text())
    steps = [step["run"] for step in ci["jobs"]["check"]["steps"] if "run" in step]
    assert {"uv run flowengine validate workflows --format github", "uv run pytest"} <= set(steps)
    assert ".env" in (folder / ".gitignore").read_text().splitlines()


def test_files_that_are_there_stay(tmp_path: Path) -> None:
    """Also a link that leads nowhere; the others are made. A second call makes nothing."""
    (tmp_path / "pyproject.toml").write_text("mine")
    (tmp_path / "my_handlers.py").symlink_to(tmp_path / "nowhere")
    made = init(str(tmp_path))
    assert made.exit_code == 0
    assert "kept     pyproject.toml, which is there already\n" in made.stdout
    assert (tmp_path / "pyproject.toml").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    again = init(str(tmp_path))
    assert again.exit_code == 0
    assert "made" not in again.stdout
    assert "nothing was written" in again.stderr


def test_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    """Exit code 3."""
    (tmp_path / "workflows").write_text("a file")
    refused = init(str(tmp_path))
    assert refused.exit_code == 3
    assert refused.stderr.startswith("error: cannot make ")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Orders_2", "orders-2"), ("-.-", "workflows"), ("Ünder", "nder"), ("x" * 99, "x" * 60)],
)
def test_name_of_a_project_fits_its_metadata(folder: str, name: str) -> None:
    """Letters, digits and hyphens, whatever the folder is called."""
    assert project_name(folder) == name
