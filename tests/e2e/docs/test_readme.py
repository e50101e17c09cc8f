"""README's commands, run as they are written but for `uv run`, and its example handler."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import redis
import yaml

from flowengine.handlers.loading import ENTRY_POINT_GROUP
from flowengine.queues import stream_key
from tests.support.stack_processes import FLOWENGINE, ROOT, Process, clean_environment
from tests.support.valkey import Valkey, free_port
from tests.support.waiting import wait_until

README = (ROOT / "README.md").read_text()
RUN = "uv run flowengine run workflows/linear_dag.yaml"
DEV = "uv run flowengine dev"
SERVICES = (
    "flowengine api --host 127.0.0.1 --port 8000",
    "flowengine orchestrator --processes 1",
    "flowengine worker --processes 2 --threads 16",
)
VALIDATE = "flowengine validate workflows/"
SCHEMA = "flowengine schema > .flowengine.schema.json"
HANDLERS = "flowengine handlers"
OWN_DEV = "FLOWENGINE_HANDLERS=my_handlers flowengine dev"
OWN_QUEUE = "flowengine worker --queues gpu"
NEW_KEY = "flowengine key new ci"
INLINE = (VALIDATE, SCHEMA, HANDLERS, OWN_DEV, OWN_QUEUE, NEW_KEY)
OTHER_PROGRAMS = ("just ", "uv run pytest")
WAIT_S = 60.0


def fenced(language: str) -> list[str]:
    """The blocks of README in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every command that README shows, without its prompt and comment."""
    joined = "".join(fenced("console")).replace("\\\n", " ")
    found = [line[2:].split("  #")[0].strip() for line in joined.splitlines() if line.startswith("$ ")]
    return [re.sub(r" {2,}", " ", command) for command in found]


def installed(command: str) -> str:
    """The command with the program of this environment in place of `flowengine`."""
    return re.sub(r"\bflowengine ", f"{FLOWENGINE} ", command, count=1)


def shown_answers() -> list[dict[str, object]]:
    """The JSON answers that README shows."""
    lines = "".join(fenced("console")).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a fresh clone: the workflows, README's handler, and no settings."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "workflows").symlink_to(ROOT / "workflows")
    (handler,) = [block for block in fenced("python") if "@handler" in block]
    (folder / "my_handlers.py").write_text(handler)
    return folder


@pytest.fixture(scope="module")
def dev_url(clone: Path) -> Iterator[str]:
    """Where `flowengine dev` serves, started as README says for its handler; it must end well on Ctrl-C."""
    port = free_port()
    argv = ["env", *installed(OWN_DEV).split(), "--port", str(port)]
    process = Process("dev", argv, clean_environment(), clone)
    try:
        wait_until(
            lambda: any(f"http://127.0.0.1:{port}/docs" in line for line in process.lines),
            within_s=WAIT_S,
            what="the stack's welcome",
        )
        yield f"http://127.0.0.1:{port}"
        process.interrupt()
        assert process.wait(20) in (0, 130)
    finally:
        process.close()


def shell(command: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The command, run by a shell in the folder."""
    return subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
    )


def finished(url: str, execution: str) -> dict[str, Any]:
    """The results, once the execution has ended."""
    status = f"{url}/workflows/{execution}"
    wait_until(
        lambda: httpx.get(status, trust_env=False).json()["status"] in ("completed", "failed"),
        within_s=WAIT_S,
        what="the end of the execution",
    )
    answer: dict[str, Any] = httpx.get(f"{status}/results", trust_env=False).json()
    return answer


def test_every_command_of_readme_is_known_here() -> None:
    """A command that is added to README without a test is noticed."""
    curls = [command for command in commands() if command.startswith("curl ")]
    others = [command for command in commands() if command.startswith(OTHER_PROGRAMS)]
    assert len(curls) == 4
    assert [command for command in commands() if command not in (*curls, *others)] == [RUN, DEV, *SERVICES]
    inline = re.findall(r"`((?:[A-Z_]+=\w+ )?flowengine [a-z][^`]*)`", README)
    assert set(inline) - {"flowengine key new"} == set(INLINE)
    assert installed(OWN_DEV).endswith(DEV.removeprefix("uv run flowengine"))


def test_ways_to_follow_it_literally_are_told_before_they_are_needed() -> None:
    """The commands' folder, an installation elsewhere, and a package's entry point."""
    early = README.partition("## The document")[0]
    assert "source .venv/bin/activate" in early
    assert "[embedded]" in early
    (points,) = fenced("toml")
    assert tomllib.loads(points)["project"]["entry-points"][ENTRY_POINT_GROUP]


def test_first_command_runs_a_workflow_to_its_end(clone: Path) -> None:
    """Nothing is installed or started by hand; the results are right."""
    done = shell(RUN.replace("uv run flowengine", FLOWENGINE), clone)
    assert done.returncode == 0, done.stderr
    assert "QUARTERLY REPORT" in done.stdout
    assert re.search(r'score\s+{"result":\s*40(\.0)?}', done.stdout)
    assert "completed" in done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed here")
def test_curl_commands_work_on_the_development_stack(dev_url: str, clone: Path) -> None:
    """Create, trigger, status and results: the answers have the shapes that README shows."""
    curls = [command for command in commands() if command.startswith("curl ")]
    create, trigger, status, results = (line.replace("http://127.0.0.1:8000", dev_url) for line in curls)
    created = json.loads(shell(create, clone).stdout)
    execution = created["execution_id"]
    triggered = json.loads(shell(trigger.replace("1a20...", execution), clone).stdout)
    assert [created.keys(), triggered.keys()] == [answer.keys() for answer in shown_answers()]
    told = json.loads(shell(status.replace("1a20...", execution), clone).stdout)
    assert told["execution_id"] == execution
    finished(dev_url, execution)
    answer = json.loads(shell(results.replace("1a20...", execution), clone).stdout)
    assert answer["status"] == "completed"
    assert answer["results"]["message"] == {"result": "4 orders, 547 in all"}


def test_docs_of_the_development_stack_can_be_opened(dev_url: str) -> None:
    """The address that README names."""
    assert "<http://127.0.0.1:8000/docs>" in README
    assert httpx.get(f"{dev_url}/docs", trust_env=False).status_code == 200


def test_handler_of_readme_works(dev_url: str) -> None:
    """It is validated by the API and run by the worker; its error has its code."""
    nodes = [
        {"id": "hello", "handler": "greet", "config": {"name": "Ada", "loud": True}},
        {"id": "nobody", "handler": "greet", "config": {"name": ""}},
    ]
    created = httpx.post(f"{dev_url}/workflow", json={"name": "x", "nodes": nodes}, trust_env=False).json()[
        "execution_id"
    ]
    assert httpx.post(f"{dev_url}/workflow/trigger/{created}", trust_env=False).status_code == 202
    answer = finished(dev_url, created)
    assert answer["results"] == {"hello": {"result": "HELLO, ADA"}}
    assert answer["errors"]["nobody"]["code"] == "no_name"


def test_config_of_readmes_handler_is_checked(dev_url: str) -> None:
    """The API knows the handler's struct."""
    wrong = {"name": "x", "nodes": [{"id": "a", "handler": "greet", "config": {"nam": "Ada"}}]}
    refusal = httpx.post(f"{dev_url}/workflow", json=wrong, trust_env=False)
    assert refusal.status_code == 422
    assert "did you mean 'name'" in refusal.text


def test_three_services_run_as_readme_starts_them(clone: Path) -> None:
    """Three commands that share a REDIS_URL run a workflow."""
    port, valkey, processes = free_port(), Valkey(), list[Process]()
    valkey.start()
    try:
        for command in SERVICES:
            argv = [FLOWENGINE, *command.replace("8000", str(port)).split()[1:]]
            settings = clean_environment(REDIS_URL=valkey.url)
            processes.append(Process(argv[1], argv, settings, clone))
        wait_until(lambda: processes[0].records("api.started"), within_s=WAIT_S, what="the API's start")
        url = f"http://127.0.0.1:{port}"
        body = (clone / "workflows" / "linear_dag.yaml").read_bytes()
        response = httpx.post(
            f"{url}/workflow", content=body, headers={"Content-Type": "application/yaml"}, trust_env=False
        )
        created = response.json()["execution_id"]
        assert httpx.post(f"{url}/workflow/trigger/{created}", trust_env=False).status_code == 202
        assert finished(url, created)["status"] == "completed"
    finally:
        for process in processes:
            process.close()
        valkey.close()


def test_documents_of_readme_are_valid(clone: Path) -> None:
    """The YAML that README shows would be accepted, as would the folder that it names."""
    (document,) = [block for block in fenced("yaml") if "nodes:" in block]
    (clone / "greeting.yaml").write_text(document)
    done = shell(f"{FLOWENGINE} validate greeting.yaml", clone)
    assert done.returncode == 0, done.stdout
    done = shell(installed(VALIDATE), clone)
    assert done.returncode == 0, done.stdout


def test_schema_for_editors_holds_every_handler(clone: Path) -> None:
    """As README writes it into a file: it accepts README's document, and refuses a config that is wrong."""
    done = shell(installed(SCHEMA), clone, FLOWENGINE_HANDLERS="my_handlers")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    (comment,) = re.findall(r"`# yaml-language-server: \$schema=([^`]+)`", README)
    schema = json.loads((clone / comment).read_text())
    (document,) = [yaml.safe_load(block) for block in fenced("yaml") if "nodes:" in block]
    validator = jsonschema.Draft202012Validator(schema)
    assert list(validator.iter_errors(document)) == []
    document["nodes"] = [{"id": "hello", "handler": "greet", "config": {"name": "Ada"}}]
    assert list(validator.iter_errors(document)) == []
    document["nodes"][0]["config"] = {"nam": "Ada"}
    assert list(validator.iter_errors(document)) != []


def test_handlers_are_listed_ones_own_included(clone: Path) -> None:
    """Every handler that README names, with its fields."""
    done = shell(installed(HANDLERS), clone, FLOWENGINE_HANDLERS="my_handlers", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    named = ["call_external_service", "http_request", "llm_service", "compute", "transform", "aggregate"]
    for name in [*named, "greet"]:
        assert re.search(rf"^ *{name} ", done.stdout, re.MULTILINE), done.stdout
    (row,) = [line for line in done.stdout.splitlines() if line.split()[:1] == ["greet"]]
    assert "Says hello." in row
    assert "name*, loud" in row


def test_key_is_made_with_its_entry(clone: Path) -> None:
    """The key, and the entry for the setting that README names."""
    done = shell(installed(NEW_KEY), clone)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^key: +fe_\S+$", done.stdout, re.MULTILINE)
    assert re.search(r"^entry: +ci\.[0-9a-f]{64}$", done.stdout, re.MULTILINE)
    assert "FLOWENGINE_API_KEYS" in done.stderr


def test_worker_serves_the_queue_of_ones_own_handler(clone: Path, valkey: Valkey) -> None:
    """The decorator that README shows gives the queue that its command serves, and no other."""
    (decorator,) = re.findall(r"`(@handler\([^`]+queue=[^`]+)`", README)
    example = (clone / "my_handlers.py").read_text()
    (clone / "gpu_handlers.py").write_text(example.replace('@handler("greet")', decorator))
    settings = clean_environment(REDIS_URL=valkey.url, FLOWENGINE_HANDLERS="gpu_handlers")
    process = Process("worker", installed(OWN_QUEUE).split(), settings, clone)
    try:
        with valkey.connect() as server:
            wait_until(lambda: _is_served(server, "gpu"), within_s=WAIT_S, what="a worker of the queue")
            assert not _is_served(server, "worker")
    finally:
        process.close()


def _is_served(server: redis.Redis, queue: str) -> bool:
    """Whether a process reads this queue."""
    key = stream_key(queue)
    groups: Any = server.xinfo_groups(key) if server.exists(key) else []
    return any(group["consumers"] for group in groups)


def test_recipes_of_readme_exist() -> None:
    """Every `just` command names a recipe."""
    just = Path(FLOWENGINE).with_name("just")
    recipes = shell(f"{just} --summary", ROOT).stdout.split()
    named = re.findall(r"`just ([a-z-]+)", README) + [
        command.split()[1] for command in commands() if command.startswith("just ")
    ]
    assert named
    assert set(named) <= set(recipes)
