"""README's commands, run as they are written (`uv run` aside), in the order in which a reader meets them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.docs.conftest import Shell, finished
from tests.e2e.docs.markdown_files import README, TOPICS, agrees
from tests.support.rigs.stack_processes import Process, clean_environment
from tests.support.servers.valkey import free_port
from tests.support.waiting import wait_until

MOST_WORDS = 2000
RUN, DEV, *CURLS = README.commands[:6]
STORY = README.commands[6:]

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")


def test_readme_is_short() -> None:
    """What is longer belongs into the reference."""
    assert len(README.text.split()) <= MOST_WORDS


def test_first_screen_has_the_two_commands() -> None:
    """A reader who scrolls no further has run a workflow, and a stack."""
    assert [RUN, DEV] == ["uv run flowengine run workflows/linear_dag.yaml", "uv run flowengine dev"]
    assert README.text.index(DEV) < README.text.index("## Contents")


def test_ways_to_follow_it_literally_are_told_before_they_are_needed() -> None:
    """The commands' folder, and an installation elsewhere."""
    early = README.text.partition("## Contents")[0]
    assert "source .venv/bin/activate" in early
    assert "[embedded]" in early


def test_every_topic_is_listed_with_its_first_sentence() -> None:
    """README's table and the files say the same."""
    rows = re.findall(
        r"^\| \[(\w+)\]\(flowengine/reference/(\w+)\.md\) \| (.+) \|$", README.text, re.MULTILINE
    )
    listed = {name: sentence for name, target, sentence in rows if name == target}
    assert listed == {name: topic.text.split("\n\n")[1] for name, topic in TOPICS.items()}


def test_first_command_runs_a_workflow_to_its_end(shell: Shell) -> None:
    """Nothing is installed or started by hand; the results are right."""
    done = shell(RUN)
    assert done.returncode == 0, done.stderr
    assert "QUARTERLY REPORT" in done.stdout
    assert re.search(r'score\s+{"result":\s*40(\.0)?}', done.stdout)
    assert "completed" in done.stdout


@needs_curl
def test_curl_commands_work_on_the_development_stack(dev_url: str, shell: Shell) -> None:
    """Create, trigger, status and results: the answers have the shapes that README shows."""
    create, trigger, status, results = (line.replace("http://127.0.0.1:8000", dev_url) for line in CURLS)
    created = json.loads(shell(create).stdout)
    execution = created["execution_id"]
    triggered = json.loads(shell(trigger.replace("1a20...", execution)).stdout)
    assert agrees(README.answers[0], created)
    assert agrees(README.answers[1], triggered)
    told = json.loads(shell(status.replace("1a20...", execution)).stdout)
    assert told["execution_id"] == execution
    finished(dev_url, execution)
    answer = json.loads(shell(results.replace("1a20...", execution)).stdout)
    assert answer["status"] == "completed"
    assert answer["results"]["message"] == {"result": "4 orders, 547 in all"}


def test_pages_of_the_development_stack_can_be_opened(dev_url: str) -> None:
    """The addresses that README names: the page, and the API's description. Each links to the other."""
    for path, other in {"/ui": "/docs", "/docs": "/ui"}.items():
        assert f"<http://127.0.0.1:8000{path}>" in README.text
        answer = httpx.get(f"{dev_url}{path}", trust_env=False)
        assert answer.status_code == 200
        assert f'href="{other}"' in answer.text


class Story:
    """README's workflow from start to end, with ports that are free here."""

    def __init__(self, dev_url: str, clone: Path, shell: Shell) -> None:
        self.port = str(free_port())
        self._url = dev_url
        self._shell = shell
        self._execution = ""
        (document,) = README.blocks("yaml")
        (clone / "greeting.yaml").write_text(document.replace("9000", self.port))

    def json(self, command: str) -> object:
        """The JSON that a curl command prints."""
        command = command.replace("http://127.0.0.1:8000", self._url).replace("2b31...", self._execution)
        answer = json.loads(self._shell(command).stdout)
        self._execution = self._execution or answer["execution_id"]
        return answer

    def await_end(self) -> None:
        """Return once the execution has ended."""
        finished(self._url, self._execution)


@pytest.mark.slow
@needs_curl
def test_workflow_is_written_checked_run_served_triggered_and_retried(
    dev_url: str, clone: Path, shell: Shell
) -> None:
    """Each command does what the text around it says, and each answer is as it is shown."""
    story = Story(dev_url, clone, shell)
    validate, run, dev, create, trigger, results, write, serve, trigger_again, results_again = STORY
    created, triggered, failed, again, completed = README.answers[2:]
    assert shell(validate).returncode == 0
    ran = shell(run, FLOWENGINE_RETRY_BASE_SECONDS="0.05")
    assert ran.returncode == 1
    assert "connection_failed" in ran.stdout
    assert "(3 attempts)" in ran.stdout
    assert dev == DEV.removeprefix("uv run ")
    assert agrees(created, story.json(create))
    assert agrees(triggered, story.json(trigger))
    story.await_end()
    assert agrees(failed, answer := story.json(results)), answer
    assert shell(write).returncode == 0
    argv = shlex.split(serve.removesuffix("&").replace("9000", story.port).replace("python3", sys.executable))
    service = Process("service", argv, clean_environment(), clone)
    try:
        wait_until(lambda: _answers(story.port), within_s=30, what="the service")
        assert agrees(again, story.json(trigger_again))
        story.await_end()
        assert agrees(completed, answer := story.json(results_again)), answer
    finally:
        service.close()


def _answers(port: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_short_handler_of_readme_works(dev_url: str) -> None:
    """It is found with the other one, validated by the API and run by the worker."""
    document = {"name": "x", "nodes": [{"id": "a", "handler": "shout", "config": {"text": "ahoy"}}]}
    created = httpx.post(f"{dev_url}/workflow", json=document, trust_env=False).json()["execution_id"]
    assert httpx.post(f"{dev_url}/workflow/trigger/{created}", trust_env=False).status_code == 202
    assert finished(dev_url, created)["results"] == {"a": {"result": "AHOY!"}}
