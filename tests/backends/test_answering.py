"""Who answers at an address."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from pointsman.backends.answering import fetch, free_port, taken


class Echo(BaseHTTPRequestHandler):
    """200 for who asks for /here?x=1 with the key, or /open without any; else 404."""

    def do_GET(self) -> None:
        key = self.headers.get("Authorization")
        found = (self.path, key) in {("/here?x=1", "Bearer k"), ("/open", None)}
        self.send_response(200 if found else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_is_asked_with_its_key_or_without() -> None:
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert [fetch(f"{url}/here?x=1", "k"), fetch(f"{url}/open", ""), fetch(f"{url}/open", "k")] == [200, 200, 404]
        assert taken(f"{url}/v1")
        server.shutdown()


def test_a_port_is_free_and_silence_is_none() -> None:
    port = free_port()
    assert not taken(f"http://127.0.0.1:{port}/v1")
    assert fetch(f"http://127.0.0.1:{port}/", "") is None
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/", "", timeout_s=0.05) is None
