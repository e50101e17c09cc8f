"""The signature of a webhook, by the specification Standard Webhooks (standardwebhooks.com). Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from flowengine.settings.webhook_key import key_bytes


def signed_headers(key: str, webhook_id: str, at_s: int, body: bytes) -> Mapping[str, str]:
    """The headers by which a receiver knows who has sent the body, and when. `at_s`: seconds since 1970."""
    content = b"%s.%d.%s" % (webhook_id.encode(), at_s, body)
    digest = hmac.digest(key_bytes(key), content, hashlib.sha256)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
