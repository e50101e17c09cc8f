"""The page on operating: the services as it starts them, and its backups, made and restored."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.docs.conftest import WAIT_S, Shell, finished
from tests.e2e.docs.markdown_files import TOPICS, installed
from tests.support.rigs.stack_processes import ROOT, Process, clean_environment
from tests.support.servers.valkey import Valkey, free_port
from tests.support.waiting import wait_until

PAGE = TOPICS["operating"]
SERVING = ("flowengine api ", "flowengine orchestrator ", "flowengine worker ")
SERVICES = [command for command in PAGE.commands if command.startswith(SERVING)]
(RIGHTS,) = [command for command in PAGE.commands if command.startswith("redis-cli ACL ")]
FAILS = """name: fails
inputs: {day: {type: string, format: date, default: "2026-02-28"}}
nodes:
  - {id: a, handler: assert, config: {that: "{{ 1 > 2 }}"}}
"""
BACKUP = [
    command for command in PAGE.commands if command.startswith(("redis-cli ", "cp ")) and command != RIGHTS
]


@contextlib.contextmanager
def services(valkey: Valkey, folder: Path, credentials: str = "") -> Iterator[str]:
    """The three services on a server, for the length of a with block; gives the API's address."""
    redis_url = valkey.url.replace("://", f"://{credentials}")
    port, processes = free_port(), list[Process]()
    try:
        for command in SERVICES:
            argv = shlex.split(installed(command.replace("8000", str(port))))
            settings = clean_environment(REDIS_URL=redis_url)
            processes.append(Process(argv[1], argv, settings, folder))
        wait_until(lambda: processes[0].records("api.started"), within_s=WAIT_S, what="the API's start")
        yield f"http://127.0.0.1:{port}"
    finally:
        for process in processes:
            process.close()


def created(url: str, folder: Path) -> str:
    """The id of an execution that has not been triggered."""
    body = (folder / "workflows" / "linear_dag.yaml").read_bytes()
    headers = {"Content-Type": "application/yaml"}
    answer = httpx.post(f"{url}/workflow", content=body, headers=headers, trust_env=False)
    found: str = answer.json()["execution_id"]
    return found


def run_to_its_end(url: str, execution: str) -> dict[str, Any]:
    """The results of an execution that is triggered now."""
    assert httpx.post(f"{url}/workflow/trigger/{execution}", trust_env=False).status_code == 202
    return finished(url, execution)


def test_day_on_call_can_be_walked(dev_url: str, metrics_port: int, clone: Path, shell: Shell) -> None:
    """Each command of the section, in its order, on an execution that has failed."""
    section = PAGE.text.partition("## A day on call")[2].partition("\n## ")[0]
    found, shown, logs, events, cancel, *more = re.findall(r"^\$ (.+)$", section, re.MULTILINE)
    again, preview, rerun, newer, latest, delete, bulk, letters, retry, queues, workers, metrics = more
    (clone / "fails.yaml").write_text(FAILS)
    execution = shell("flowengine submit fails.yaml", FLOWENGINE_URL=dev_url).stdout.strip()
    finished(dev_url, execution)

    def walk(command: str, told: str, code: int = 0) -> None:
        done = shell(command.replace("ID", execution[:20]).replace("NODE", "a"), FLOWENGINE_URL=dev_url)
        assert (done.returncode, told in done.stdout + done.stderr) == (code, True), done

    walk(found, f"{execution}\tfailed\tfails")
    walk("flowengine list --status running", "")
    walk(shown, "assertion_failed")
    walk(logs, "")
    walk(events, "execution_finished failed")
    walk(cancel, "there is nothing to cancel", 3)
    walk(again, "failed: fails, 1 node", 1)
    walk(preview, "  again: a")
    walk(rerun, "failed: fails, 1 node", 1)
    walk(newer, "only executions of a definition can run again by another version", 3)
    walk(latest, "only executions of a definition can run again by another version", 3)
    walk(newer.replace("--version latest ", ""), "in a new execution:\n  again: a")
    walk(delete, f"deleted: {execution}")
    walk(bulk, "delete: would be done to 0 of 0")
    walk(letters, "no dead letters")
    walk(retry, "no dead letter has the id 'LETTER'", 3)
    walk(queues, "orchestrator")
    walk(workers, "worker")
    ports = range(metrics_port, metrics_port + 4)  # each process takes the first that is free
    told = "".join(shell(metrics.replace("9100", str(port))).stdout for port in ports)
    assert 'flowengine_node_run_seconds_count{handler="assert"} 3.0' in told


def test_three_services_run_as_they_are_started(clone: Path) -> None:
    """Three commands that share a REDIS_URL run a workflow."""
    assert [command.split()[1] for command in SERVICES] == ["api", "orchestrator", "worker"]
    valkey = Valkey()
    valkey.start()
    try:
        with services(valkey, clone) as url:
            assert run_to_its_end(url, created(url, clone))["status"] == "completed"
    finally:
        valkey.close()


def test_user_with_the_rights_of_the_page_runs_the_services(clone: Path) -> None:
    """They are enough: nothing is done without, and nothing is missed on the way."""
    valkey = Valkey(persistent=True)
    valkey.start()
    try:
        with valkey.connect() as client:
            client.execute_command(*shlex.split(RIGHTS)[1:])
        with services(valkey, clone, "flowengine:PASSWORD@") as url:
            assert run_to_its_end(url, created(url, clone))["status"] == "completed"
            health = httpx.get(f"{url}/health", trust_env=False).json()
        assert (health["status"], health["warnings"]) == ("ok", [])
        assert valkey.denied() == set()
    finally:
        valkey.close()


def test_override_of_the_containers_names_services_that_there_are() -> None:
    """The example adds to a service of compose.yaml, in its shape."""
    (example,) = map(yaml.safe_load, PAGE.blocks("yaml"))
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert example["services"].keys() <= composed["services"].keys()
    assert example["services"]["worker"]["environment"].keys() == {"FLOWENGINE_SECRET_API_TOKEN"}


class Backups:
    """A server with an append-only file, and the page's commands on it."""

    def __init__(self) -> None:
        self.server = Valkey(persistent=True, config={"maxmemory-policy": "noeviction"})
        self.server.start()

    def run(self, command: str) -> Any:
        """What a command answers; `redis-cli` is spoken for by a client, `cp` runs in the data folder."""
        program, *words = shlex.split(command)
        if program != "redis-cli":
            subprocess.run([program, *words], cwd=self.server.folder, check=True, timeout=WAIT_S)
            return None
        with self.server.connect() as client:
            return client.execute_command(*words)

    def await_rewritten(self) -> None:
        """Return once INFO says what the page says to wait for."""
        wait_until(lambda: not self.run("redis-cli INFO persistence")["aof_rewrite_in_progress"])


@pytest.fixture
def backups() -> Iterator[Backups]:
    found = Backups()
    yield found
    found.server.close()


@pytest.mark.slow
def test_backup_made_while_everything_runs_can_be_restored(backups: Backups, clone: Path) -> None:
    """What had ended keeps its results, what waited can be run, what came later is unknown."""
    assert len(BACKUP) == 4
    folder = backups.server.folder
    with services(backups.server, clone) as url:
        run_to_its_end(url, done := created(url, clone))
        waiting = created(url, clone)
        for command in BACKUP:
            backups.run(command)
            backups.await_rewritten()
        later = created(url, clone)
    backups.server.kill()
    shutil.rmtree(folder / "appendonlydir")
    (folder / "backup").rename(folder / "appendonlydir")
    backups.server.start()
    with services(backups.server, clone) as url:
        assert finished(url, done)["results"]["score"] == {"result": 40}
        assert run_to_its_end(url, waiting)["status"] == "completed"
        assert httpx.get(f"{url}/workflows/{later}", trust_env=False).status_code == 404


def test_snapshot_can_be_restored(backups: Backups) -> None:
    """A server started on it without an append-only file makes one, and keeps it for good."""
    for words in ("`BGSAVE`", "`--appendonly no`", "`redis-cli CONFIG SET appendonly yes`"):
        assert words in PAGE.text
    backups.run("redis-cli SET fe:kept 1")
    backups.run("redis-cli SAVE")
    backups.server.kill()
    folder = backups.server.folder
    shutil.rmtree(folder / "appendonlydir")
    once = Valkey(folder=folder)
    once.start()
    with once.connect() as client:
        client.config_set("appendonly", "yes")
        wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
    once.stop()
    backups.server.start()
    assert backups.run("redis-cli GET fe:kept") == b"1"
