"""What the workflow document allows (SPEC section 3): ids, lengths, timeouts, its own fields."""

from __future__ import annotations

import re
from typing import Final

NODE_ID: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
MAX_ID_CHARS: Final = 200
MAX_NAME_CHARS: Final = 200
MAX_DESCRIPTION_CHARS: Final = 10_000
DEFAULT_TIMEOUT_S: Final = 300
MIN_TIMEOUT_S: Final = 1
MAX_TIMEOUT_S: Final = 3600

WORKFLOW_FIELDS: Final = ("name", "description", "nodes")
