"""Who answers at an address: asked without any of the ceremony of a model's engine."""

from __future__ import annotations

import http.client
import socket
from urllib.parse import urlsplit


def fetch(url: str, key: str, timeout_s: float = 1.0) -> int | None:
    """The status of a GET, None where nobody answers. key: "" for none."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    headers = {"Connection": "close", **({"Authorization": f"Bearer {key}"} if key else {})}
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path, headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def free_port() -> int:
    """A port of this machine that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def taken(url: str) -> bool:
    """Whether somebody listens at the port of an address of this machine."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=1.0):
            return True
    except OSError:
        return False
