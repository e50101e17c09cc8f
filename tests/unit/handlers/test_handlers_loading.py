"""Where handlers come from, and what a wrong one says at the start."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import msgspec
import pytest

from flowengine.errors import SettingsError
from flowengine.handlers import loading
from flowengine.handlers.loading import load_registry
from flowengine.plugin import AnyObject

BUILT_IN = (
    "aggregate",
    "assert",
    "call_external_service",
    "compute",
    "http_request",
    "llm_service",
    "set",
    "transform",
)
GREET = """
    import msgspec
    from flowengine.plugin import Context, handler

    class Greet(msgspec.Struct):
        name: str

    @handler("{name}")
    def greet(config: Greet, context: Context) -> dict[str, str]:
        '''Says hello.

        More words.
        '''
        return {{"result": config.name}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory of the test's own, and nothing imported from another's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    for name in [name for name in sys.modules if name.startswith("my_handlers_")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def write(folder: Path, module: str, source: str) -> None:
    """A module in a folder."""
    (folder / f"{module}.py").write_text(textwrap.dedent(source))


def test_the_built_in_handlers_are_always_there() -> None:
    """Each with a summary, a primary value and a schema that editors can show."""
    registry = load_registry()
    assert set(BUILT_IN) <= set(registry.names())
    for name in BUILT_IN:
        item = registry.get(name)
        assert item is not None
        assert item.summary.endswith((".", "itself.")) or "\n" not in item.summary
        assert item.primary in ("result", "data", "content")
        if item.config_type is AnyObject:
            continue
        (_, schema), *_ = msgspec.json.schema(item.config_type)["$defs"].items()
        described = [field for field in schema["properties"].values() if "description" in str(field)]
        assert len(described) == len(schema["properties"])


def test_a_module_beside_the_workflow_brings_handlers(here: Path) -> None:
    """FLOWENGINE_HANDLERS=my_handlers works from the directory that holds my_handlers.py."""
    write(here, "my_handlers_a", GREET.format(name="greet"))
    item = load_registry(["my_handlers_a"]).get("greet")
    assert item is not None
    assert item.summary == "Says hello."


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "\nraise RuntimeError('broken')",
            r"'my_handlers_b', which cannot be imported: RuntimeError: broken \(my_handlers_b\.py:2\)",
        ),
        ("x = (", r"'\(' was never closed \(my_handlers_b\.py:1\)"),
        ("import no_such_module_at_all", "ModuleNotFoundError"),
        ("x = 1", "'my_handlers_b' in FLOWENGINE_HANDLERS has no handler"),
        (GREET.format(name="compute"), "two handlers are called 'compute'"),
        (GREET.format(name="greet").replace("name: str", "name: 'Missing'"), "'greet': its config Greet"),
        (GREET.format(name="greet").replace("config: Greet", "config: dict"), "annotate 'config'"),
        (
            GREET.format(name="greet")
            .replace("name: str", "name: 'Missing'")
            .replace("config: Greet, context: Context", "config: Fine, context: Context, settings: Greet")
            .replace("class Greet", "class Fine(msgspec.Struct): pass\n\n    class Greet"),
            "'greet': its settings Greet cannot be used",
        ),
    ],
)
def test_a_module_that_cannot_be_used_is_named(here: Path, source: str, message: str) -> None:
    """A wrong setting stops the start with its name."""
    write(here, "my_handlers_b", source)
    with pytest.raises(SettingsError, match=message):
        load_registry(["my_handlers_b"])


def test_a_module_that_does_not_exist_is_named() -> None:
    """The commonest mistake of all."""
    with pytest.raises(SettingsError, match="names module 'no_such_handlers'"):
        load_registry(["no_such_handlers"])


def test_installed_packages_bring_handlers(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point may name a module or one function; a broken one is named."""
    write(here, "my_handlers_c", GREET.format(name="greet"))
    monkeypatch.syspath_prepend(str(here))

    def install(value: str) -> None:
        points = EntryPoints([EntryPoint("extra", value, loading.ENTRY_POINT_GROUP)])
        monkeypatch.setattr(loading, "entry_points", lambda group: points)

    for value in ("my_handlers_c", "my_handlers_c:greet"):
        install(value)
        assert "greet" in load_registry().names()
    install("my_handlers_c:missing")
    with pytest.raises(SettingsError, match=r"entry point 'extra' \(my_handlers_c:missing\)"):
        load_registry()


def test_loading_handlers_imports_no_http_library() -> None:
    """The API validates with the registry and calls nothing: it should not pay for a client."""
    code = (
        "import sys; from flowengine.handlers.loading import load_registry; load_registry();"
        "sys.exit(bool({'httpx', 'httpcore', 'stamina'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_every_process_loads_has_no_template_engine() -> None:
    """An orchestrator hides secrets and renders nothing: it should not pay for templates."""
    code = (
        "import sys; from flowengine import bootstrap; import flowengine.orchestrator.process;"
        "bootstrap.hide_secrets(bootstrap.read_settings(), {});"
        "sys.exit(bool({'jinja2', 'httpx'} & set(sys.modules)))"
    )
    environ = {"REDIS_URL": "redis://127.0.0.1:6379", "PATH": os.environ["PATH"]}
    run = subprocess.run([sys.executable, "-c", code], check=False, env=environ)
    assert run.returncode == 0
