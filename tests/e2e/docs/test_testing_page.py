"""The page on testing: its workflow, its tests and its commands, as they are written."""

from __future__ import annotations

import json
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


CALLING = """name: calling
nodes:
  - {id: health, handler: http_request, config: {url: "URL/health"}}
  - {id: said, handler: set, config: {value: "{{ health.data.status }}"}, dependencies: [health]}
outputs: {said: "{{ said.result }}"}
"""


def test_an_execution_is_recorded(tmp_path: Path, dev_url: str, shell: Shell) -> None:
    """The test that is printed passes, without the service that was called."""
    (tmp_path / "nightly.yaml").write_text(CALLING.replace("URL", dev_url))
    started = shell("flowengine submit nightly.yaml --wait --json", folder=tmp_path, FLOWENGINE_URL=dev_url)
    ended = json.loads(started.stdout.splitlines()[-1])
    record = TOPICS["testing"].commands[1].replace("ID", ended["execution_id"])
    done = shell(record, folder=tmp_path, FLOWENGINE_URL=dev_url)
    assert done.returncode == 0, done.stderr
    (case,) = yaml.safe_load((tmp_path / "nightly.test.yaml").read_text())["tests"]
    assert case["mocks"]["health"]["output"]["status_code"] == 200
    assert case["expect"]["outputs"] == ended["outputs"]
    done = shell(TOPICS["testing"].commands[0], folder=tmp_path)
    assert (done.returncode, done.stderr.partition(",")[0]) == (0, "1 passed"), done.stdout
