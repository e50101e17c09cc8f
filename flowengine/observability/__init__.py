"""What a running process tells about itself: log lines. Who reads them is not known here."""

import flowengine.observability.lean  # noqa: F401  # must come before structlog
from flowengine.observability.logs import configure_logs, set_redactor

__all__ = ["configure_logs", "set_redactor"]
