"""The listening socket."""

from __future__ import annotations

import socket

import pytest

from pointsman.api.cli.listening import listen, reachable, url
from pointsman.errors import ConfigError


def test_a_free_port_is_taken_and_connections_wait_in_it() -> None:
    """Port 0 gives a port; a client can connect before anybody accepts."""
    with listen("127.0.0.1", 0) as bound, socket.create_connection(reachable(bound), timeout=5):
        assert reachable(bound)[1] > 0


def test_a_port_in_use_is_named_with_the_ways_to_another() -> None:
    """The message has the port, --port and POINTSMAN_PORT."""
    with listen("127.0.0.1", 0) as bound:
        port = reachable(bound)[1]
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is in use.*--port or POINTSMAN_PORT"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7"])
def test_an_address_that_is_not_ours_is_named(host: str) -> None:
    """A name that does not resolve and an address of another machine are configuration errors that name it."""
    with pytest.raises(ConfigError, match=host.replace(".", r"\.")):
        listen(host, 0)


def test_a_port_may_be_taken_again_at_once() -> None:
    """A restarted server gets the port of the one before, although its connections linger."""
    with listen("127.0.0.1", 0) as bound:
        address = reachable(bound)
        client = socket.create_connection(address, timeout=5)
        served, _ = bound.accept()
        served.close()
    with client, listen(*address) as again:
        assert reachable(again) == address


@pytest.mark.parametrize(
    ("address", "said"), [(("127.0.0.1", 8484), "http://127.0.0.1:8484"), (("::1", 80), "http://[::1]:80")]
)
def test_addresses_are_written_as_urls(address: tuple[str, int], said: str) -> None:
    """IPv6 addresses stand in brackets."""
    assert url(*address) == said


def test_listening_everywhere_is_reached_on_this_machine() -> None:
    """A server on 0.0.0.0 is shown and asked at 127.0.0.1."""
    with listen("0.0.0.0", 0) as bound:
        assert reachable(bound)[0] == "127.0.0.1"
