"""The web page as the API serves it: whole, strict, and without a word to the internet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256

import pytest

from flowengine.api.routes.service.page_files import POLICY
from flowengine.ui import FOLDER, served_files
from tests.support.servers.served_api import ServedApi, served_api

VENDOR = FOLDER / "vendor"
_LOADED = re.compile(r"""(?:from|import|href=|src=)\s*\(?["']([^"'#]+\.(?:js|css))["']""")


@pytest.fixture(scope="module")
def api() -> Iterator[ServedApi]:
    """The API as it is served."""
    with served_api() as api:
        yield api


@pytest.mark.parametrize("path", ["/ui", "/ui/runs", "/ui/runs/some%2Fid", "/ui/system"])
def test_each_place_is_the_same_page(api: ServedApi, path: str) -> None:
    """Its script reads the address; a policy forbids inline scripts and styles."""
    answer = api.client.get(path)
    assert answer.status_code == 200
    assert answer.text == (FOLDER / "index.html").read_text()
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY


def test_a_file_that_is_known_is_not_sent_again(api: ServedApi) -> None:
    """Each has a tag by its content."""
    first = api.client.get("/ui/static/app/main.js")
    assert first.headers["Content-Type"].startswith("text/javascript")
    again = api.client.get("/ui/static/app/main.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "file", ["nothing.js", "..%2f__init__.py", "%2e%2e", "vendor/README.md", "vendor/LICENSE-htm", "app"]
)
def test_no_other_file_is_served(api: ServedApi, file: str) -> None:
    """Scripts and styles below the folder; a path cannot climb."""
    assert api.client.get(f"/ui/static/{file}").status_code == 404


def test_each_file_loads_only_files_that_are_there() -> None:
    """Every import and link leads to a file of the page; none leads elsewhere."""
    files = served_files()
    for name, path in files.items():
        if path.parent == VENDOR:
            continue
        for loaded in _LOADED.findall(path.read_text()):
            if loaded.startswith("/ui/static/"):
                assert loaded.removeprefix("/ui/static/") in files, f"{name} loads {loaded}"
            else:
                assert loaded.startswith("."), f"{name} loads {loaded}"
                assert (path.parent / loaded).resolve() in files.values(), f"{name} loads {loaded}"


def test_what_others_wrote_is_as_it_was_published() -> None:
    """Digest by digest, as README.md there has them; licences are among them."""
    listed = dict(re.findall(r"\| `([\w.-]+)` \| `([0-9a-f]{64})` \|", (VENDOR / "README.md").read_text()))
    assert {path.name for path in VENDOR.iterdir()} == {"README.md", "preact.d.ts", *listed}
    assert {name: sha256((VENDOR / name).read_bytes()).hexdigest() for name in listed} == listed
    assert {"LICENSE-preact", "LICENSE-htm", "LICENSE-signals"} <= set(listed)
