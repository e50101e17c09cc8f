"""structlog without rich.

structlog imports rich wherever it is installed, for tracebacks that we never print: 6 MB and 0.2 s in
every process of the stack. Import this before anything else imports structlog; afterwards it does nothing.
"""

from __future__ import annotations

import sys

if "structlog" not in sys.modules and "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]  # None makes `import rich` fail, as documented
    try:
        import structlog as structlog
    finally:
        del sys.modules["rich"]
