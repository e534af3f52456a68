"""The listening socket: bound by the parent process, so that a port in use is said before anything is started."""

from __future__ import annotations

import errno
import os
import socket

from ...errors import ConfigError

BACKLOG = 2048
_SOMEWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound here: how to reach what was


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; connections wait in it until a worker takes them. Raises ConfigError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(
            f"there is no address {host!r} to listen on: {error.strerror or error}", field="host"
        ) from None
    try:
        if os.name == "posix":  # elsewhere it would let two servers share a port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise _cannot(error, host, port) from None
    return made


def _cannot(error: OSError, host: str, port: int) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"port {port} on {host} is in use: choose another with --port or POINTSMAN_PORT", field="port"
        )
    if error.errno == errno.EACCES:
        return ConfigError(f"port {port} on {host} may not be used by this user: choose one from 1024 on", field="port")
    return ConfigError(f"cannot listen on {host} port {port}: {error.strerror or error}", field="host")


def reachable(bound: socket.socket) -> tuple[str, int]:
    """Host and port by which this machine reaches a bound socket."""
    host, port = bound.getsockname()[:2]
    return _SOMEWHERE.get(str(host), str(host)), int(port)


def url(host: str, port: int) -> str:
    """The address as a URL."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
