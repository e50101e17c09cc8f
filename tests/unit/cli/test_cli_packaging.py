"""What is promised of the wheel, compose.yaml, the Dockerfile, the justfile and CI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from flowengine.api.routes.service.documentation_pages import FOLDER
from flowengine.cli.commands.help import TOPICS
from flowengine.settings import load_settings
from flowengine.settings.table import SETTINGS
from flowengine.store.server_checks.server_facts import facts_of, troubles_of, warnings_of
from flowengine.ui import FOLDER as PAGE

ROOT = Path(__file__).parents[3]
MONITORING = ROOT / "flowengine" / "monitoring"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
CONSTRAINTS = ROOT / ".image" / "constraints.txt"
RECIPES = {"up", "down", "logs", "dev", "run", "test", "check", "fmt", "bench", "validate"}


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv, which builds it, is not installed here")
def test_wheel_holds_the_package_and_its_reference(tmp_path: Path) -> None:
    """Every topic of the reference is in it, and nothing but the package and what describes it."""
    command = ["uv", "build", "--quiet", "--wheel", "--out-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, timeout=100, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0].removesuffix(".dist-info").partition("-")[0] for name in names}
    assert folders == {"flowengine"}
    shipped = {name for name in names if name.startswith("flowengine/") and not name.endswith(".py")}
    swagger_ui = {path.relative_to(ROOT).as_posix() for path in FOLDER.iterdir()}
    topics = {f"flowengine/reference/{topic}.md" for topic in TOPICS}
    monitoring = {path.relative_to(ROOT).as_posix() for path in MONITORING.iterdir()}
    page = {path.relative_to(ROOT).as_posix() for path in PAGE.parent.rglob("*") if is_shipped(path)}
    assert shipped == {"flowengine/py.typed", *topics, *swagger_ui, *monitoring, *page}


def is_shipped(path: Path) -> bool:
    """Whether it is a file of the page that is no Python."""
    return path.is_file() and path.suffix not in (".py", ".pyc")


def test_image_is_built_from_all_that_the_wheel_needs() -> None:
    """What Docker may see includes the package as a whole, README and the license."""
    admitted = (ROOT / ".dockerignore").read_text().split()
    assert {"!flowengine", "!.image", "!pyproject.toml", "!README.md", "!LICENSE"} <= set(admitted)
    assert not [pattern for pattern in admitted if pattern.endswith(".md") and pattern[0] != "!"]


def test_only_the_api_is_published_and_on_loopback_only() -> None:
    """No other machine reaches the stack."""
    published = {name: service.get("ports") for name, service in COMPOSE["services"].items()}
    assert published.pop("api") == ["127.0.0.1:${FLOWENGINE_PORT:-8000}:8000"]
    assert set(published.values()) == {None}


def test_every_setting_may_stand_in_the_env_file_of_the_containers() -> None:
    """Each is passed on to a service that reads it, empty where it is not set; the rest is named."""
    header = (ROOT / "compose.yaml").read_text().partition("name: flowengine")[0]
    passed = set()
    for service in ("api", "orchestrator", "worker"):
        for name, value in _environment(service).items():
            passed |= {name} if value.startswith(f"${{{name}:-") and value.endswith("}") else set()
    rest = {setting.name for setting in SETTINGS} - passed
    assert rest == {
        "REDIS_URL",
        "FLOWENGINE_HOST",
        "FLOWENGINE_PORT",
        "FLOWENGINE_INSECURE",
        "FLOWENGINE_GRACE_SECONDS",
    }
    assert [name for name in rest if name not in header] == []


def test_each_credential_reaches_only_the_service_that_needs_it() -> None:
    """The API's keys and the language model's key are no business of the others."""
    holders = {
        name: [key for key in ("api", "orchestrator", "worker") if name in _environment(key)]
        for name in ("FLOWENGINE_API_KEYS", "LLM_API_KEY", "FLOWENGINE_WEBHOOK_KEY")
    }
    assert holders == {
        "FLOWENGINE_API_KEYS": ["api"],
        "LLM_API_KEY": ["worker"],
        "FLOWENGINE_WEBHOOK_KEY": ["api", "worker"],
    }


def _environment(service: str) -> dict[str, str]:
    found: dict[str, str] = COMPOSE["services"][service]["environment"]
    return found


def test_redis_keeps_what_it_is_told() -> None:
    """Append-only file on, nothing evicted, an end to what it stores, and a version that is new enough."""
    command = " ".join(COMPOSE["services"]["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert "--maxmemory ${FLOWENGINE_REDIS_MAXMEMORY:-512mb}" in command
    version = COMPOSE["services"]["redis"]["image"].removeprefix("redis:").split("-")[0]
    told = {"redis_version": f"{version}.0", "maxmemory_policy": "noeviction", "aof_enabled": "1"}
    assert (troubles_of(facts_of(told)), warnings_of(facts_of(told))) == ([], [])


def test_redis_is_as_hardened_as_the_other_services() -> None:
    """No file system to write to but its data, no capabilities, no root, and limits of its own."""
    redis = COMPOSE["services"]["redis"]
    for service in COMPOSE["services"].values():
        assert service["read_only"] is True
        assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert redis["user"].split(":")[0] not in ("", "0", "root")
    assert redis["mem_limit"] == "${FLOWENGINE_REDIS_MEMORY:-1g}"
    assert redis["pids_limit"] <= 100
    assert "ports" not in redis


def test_redis_shares_a_network_with_its_callers_only() -> None:
    """A network that leads nowhere. Only those that have to do with the world outside are in another."""
    assert COMPOSE["networks"]["state"]["internal"] is True
    networks = {name: set(service["networks"]) for name, service in COMPOSE["services"].items()}
    assert networks == {
        "redis": {"state"},
        "orchestrator": {"state"},
        "api": {"state", "outside"},
        "worker": {"state", "outside"},
    }


@pytest.mark.skipif(shutil.which("sh") is None, reason="runs the container's command, which is a script")
def test_redis_has_a_password_of_its_own_which_the_services_read(tmp_path: Path) -> None:
    """The first start makes it up, later ones keep it. The services may read the URL, and not the data."""
    given = []
    data = tmp_path / "data"
    data.mkdir()
    for _ in range(2):
        script = COMPOSE["services"]["redis"]["command"][2].replace("$$", "$")
        script = script.replace("/tmp/redis.conf", f"{tmp_path}/redis.conf").replace("${FLOWENGINE_", "${NO_")
        runnable = script.replace("exec redis-server", "echo redis-server")
        started = subprocess.run(
            ["sh", "-c", runnable], cwd=data, capture_output=True, text=True, check=True, timeout=20
        )
        assert started.stderr == ""
        assert started.stdout.split()[1:] == [
            f"{tmp_path}/redis.conf", "--appendonly", "yes", "--save", "--maxmemory", "512mb",
            "--maxmemory-policy", "noeviction",
        ]  # fmt: skip
        given.append(((data / "redis-url").read_text().strip(), (tmp_path / "redis.conf").read_text()))
    assert given[0] == given[1]
    url, configured = given[0]
    found = re.fullmatch(r"redis://:([0-9a-f]{64})@redis:6379/0", url)
    assert found is not None
    assert configured == f"requirepass {found[1]}\n"
    assert [path.name for path in data.iterdir()] == ["redis-url"]
    assert (data / "redis-url").stat().st_mode & 0o777 == 0o444
    assert (tmp_path / "redis.conf").stat().st_mode & 0o077 == 0
    assert load_settings({"REDIS_URL_FILE": str(data / "redis-url")}, None).redis_url == url
    for name in ("api", "orchestrator", "worker"):
        assert _environment(name)["REDIS_URL_FILE"] == "/run/redis/redis-url"
        assert "redis:/run/redis:ro" in COMPOSE["services"][name]["volumes"]


def test_every_service_has_a_health_check_and_stops_within_ten_seconds() -> None:
    """Commands are lists, so that signals reach the program and not a shell."""
    for service in COMPOSE["services"].values():
        assert service["healthcheck"]["test"][0] == "CMD"
        assert service["stop_grace_period"] == "10s"
        assert isinstance(service["command"], list)


def test_image_runs_as_nobody_in_particular_and_without_a_shell() -> None:
    """Non-root, exec-form entry point, packages from the default index."""
    text = DOCKERFILE
    assert re.search(r"^USER (?!0\b|root)", text, re.MULTILINE)
    assert 'ENTRYPOINT ["flowengine"]' in text
    assert "index-url" not in text


def test_base_image_is_an_argument_and_the_default_is_one_tag() -> None:
    """Both stages are from it: a tag, or a tag with its digest; compose.yaml passes it on."""
    sources = re.findall(r"^ *FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert sources == ["python:3.12-slim", "${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]
    assert "\nARG PYTHON_IMAGE=default-python\nFROM python:3.12-slim AS default-python\n" in DOCKERFILE
    for name in ("api", "orchestrator", "worker"):
        arguments = COMPOSE["services"][name]["build"]["args"]
        assert arguments == {"PYTHON_IMAGE": "${FLOWENGINE_PYTHON_IMAGE:-default-python}"}


def test_every_library_of_the_image_has_one_version() -> None:
    """What the wheel needs, whatever that needs, and what builds it; without an address to get it from."""
    lines = CONSTRAINTS.read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; .+)?", line)] == []
    pinned = {line.partition("==")[0]: Version(line.split()[0].partition("==")[2]) for line in lines}
    needed = dict(_needed(Requirement("flowengine")))
    needed["hatchling"] = SpecifierSet(">=1.27")
    missing = {name for name in needed if name not in pinned}
    assert missing == set(), "run: just constraints"
    wrong = [name for name, versions in needed.items() if not versions.contains(pinned[name])]
    assert wrong == [], "run: just constraints"
    assert "PIP_CONSTRAINT=/src/.image/constraints.txt" in DOCKERFILE


def _needed(root: Requirement) -> Iterator[tuple[str, SpecifierSet]]:
    """Everything that a distribution requires here, directly or not, and in which versions."""
    seen: dict[str, SpecifierSet] = {}
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        for text in distribution(parent.name).requires or ():
            found = Requirement(text)
            name = canonicalize_name(found.name)
            extras = parent.extras or {""}
            if found.marker and not any(found.marker.evaluate({"extra": extra}) for extra in extras):
                continue
            if name not in seen:
                waiting.append(found)
            seen[name] = seen.get(name, SpecifierSet()) & found.specifier
    yield from seen.items()


def test_image_holds_the_licences_of_what_is_in_it() -> None:
    """Every library with its licence, the LGPL and MPL ones with their source, and Swagger UI's."""
    script = ROOT / ".image" / "third_party_notices.py"
    printed = subprocess.run([sys.executable, script], capture_output=True, check=True, timeout=60).stdout
    sections = dict(re.findall(r"-{78}\n(\S.*)\n((?:.*\n)*?)(?=\n-{78}\n|\Z)", printed.decode()))
    named: dict[str, str] = {
        canonicalize_name(title.rpartition(" ")[0]): text for title, text in sections.items()
    }
    for name in dict(_needed(Requirement("flowengine"))):
        assert re.match(r"Licence: \S", named[name]), name
        assert len(named[name]) > 500 or "holds no text of the licence" in named[name], name
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in named["dramatiq"]
    assert "GNU GENERAL PUBLIC LICENSE" in named["dramatiq"]
    assert "Mozilla Public License" in named["certifi"]
    for name in ("dramatiq", "certifi"):
        assert re.search(r"^Source: https://", named[name], re.MULTILINE)
    swagger_ui = next(text for title, text in sections.items() if title.startswith("Swagger UI"))
    assert "Apache License" in swagger_ui
    assert "SmartBear" in swagger_ui
    page = next(text for title, text in sections.items() if title.startswith("Preact"))
    assert page.count("The MIT License (MIT)") == 2
    assert "Apache License" in page
    assert ".image/third_party_notices.py > /opt/flowengine/THIRD_PARTY_NOTICES.txt" in DOCKERFILE


def test_just_lists_the_recipes() -> None:
    """`just` with no argument lists them, each with what it does."""
    just = _just()
    listed = subprocess.run([just], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    described = {line.split()[0] for line in listed.splitlines()[1:] if "#" in line}
    assert described >= RECIPES


def test_up_without_a_container_engine_names_the_way_without(tmp_path: Path) -> None:
    """Where no engine is found, `just up` says so and names `just dev`."""
    just = _just()
    for tool in ("bash", "env"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    environment = {**os.environ, "PATH": str(tmp_path)}
    up = subprocess.run([just, "up"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert up.returncode == 1
    assert "No container engine" in up.stderr
    assert "just dev" in up.stderr


def _just() -> str:
    found = shutil.which("just", path=sysconfig.get_path("scripts"))
    assert found is not None, "just is in the development group: uv sync"
    return found


def test_check_is_what_ci_runs() -> None:
    """`just check` is the CI script and nothing else; the script runs lint, format, types and tests."""
    recipe = re.search(r"^check:\n((?:    .*\n)+)", (ROOT / "justfile").read_text(), re.MULTILINE)
    assert recipe is not None
    assert recipe[1].split() == [".ci/run"]
    script = (ROOT / ".ci" / "run").read_text()
    for command in ("ruff check", "ruff format --check", "mypy", "pytest"):
        assert command in script
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
