"""The page on testing: its workflow, its tests and its commands, as they are written."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from tests.e2e.docs.conftest import Shell
from tests.e2e.docs.markdown_files import TOPICS


def written(folder: Path) -> tuple[str, str]:
    """The page's workflow and its tests, as files."""
    workflow, tests = TOPICS["testing"].blocks("yaml")[:2]
    (folder / "nightly.yaml").write_text(workflow)
    (folder / yaml.safe_load(tests)["workflow"].replace(".yaml", ".test.yaml")).write_text(tests)
    return workflow, tests


def test_tests_of_the_page_pass(tmp_path: Path, shell: Shell) -> None:
    """And fail once the workflow is another."""
    workflow, _ = written(tmp_path)
    command = TOPICS["testing"].commands[0]
    done = shell(command, folder=tmp_path)
    assert (done.returncode, done.stderr.partition(",")[0]) == (0, "2 passed"), done.stdout
    (tmp_path / "nightly.yaml").write_text(workflow.replace("'gt', 50", "'ge', 50"))
    done = shell(command, folder=tmp_path)
    assert (done.returncode, done.stderr.partition(",")[0]) == (1, "1 passed"), done.stdout


def test_tests_in_python_pass(tmp_path: Path, shell: Shell) -> None:
    """By pytest, beside the workflow and the handlers of the page on handlers."""
    written(tmp_path)
    (tmp_path / "my_handlers.py").write_text("\n\n".join(TOPICS["handlers"].blocks("python")))
    (block,) = TOPICS["testing"].blocks("python")
    (tmp_path / "test_nightly.py").write_text(block)
    python = Path(sys.executable)
    done = shell(f"{python} -m pytest -q -p no:cacheprovider test_nightly.py", folder=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1][:8]) == (0, "2 passed"), done.stdout
