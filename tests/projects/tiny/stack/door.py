"""The shoppers' door: one page, and orders that the shelf keeps."""

from __future__ import annotations

import http.client
import json
import os
from urllib.parse import urlsplit

from plumbing import Answer, problem, serve
from prometheus_client import Counter

SHELF = urlsplit(os.environ["LINK_SHELF"]).netloc
CALLS = Counter("link_calls", "Calls by outcome", ["link", "outcome"])
for outcome in ("ok", "error", "timeout"):
    CALLS.labels("door.shelf", outcome)


def order(_path: str, key: str) -> Answer:
    """Ask the shelf; a refusal is honest about it."""
    connection = http.client.HTTPConnection(SHELF, timeout=1.0)
    try:
        connection.request("POST", "/take", b"{}", {"Idempotency-Key": key})
        response = connection.getresponse()
        body = json.loads(response.read())
    except TimeoutError:
        CALLS.labels("door.shelf", "timeout").inc()
        return problem(504, "order-pending", key)
    except (OSError, http.client.HTTPException, ValueError):
        CALLS.labels("door.shelf", "error").inc()
        return problem(503, "shelf-unavailable", key)
    finally:
        connection.close()
    CALLS.labels("door.shelf", "ok" if response.status < 500 else "error").inc()
    return response.status, body


serve(lambda path: (200, {"page": "tiny"}) if path == "/" else None, order)
