"""The process that serves HTTP. The parent (cli/serve.py) starts it, owns the listening socket and the model servers.

    python -m pointsman.api.worker --fd N [--config FILE] [--settings JSON] [--server JSON]

--fd        number of an inherited file descriptor: a TCP socket that is bound and listening (pass_fds=(N,))
--config    the YAML file; absent: POINTSMAN_CONFIG, else the shipped configuration
--settings  JSON object: the router's settings that the parent's command line gave, nested by name, as `overrides` of
            `router.config.load`, e.g. {"home": "/data", "models": {…}}
--server    JSON object: the server's settings that the parent's command line gave, e.g. {"port": 8484}

Standard input is a pipe that the parent holds open for as long as it lives. On it the parent writes one line, when the
model servers that it launches are up:

    {"digits": {"url": "http://127.0.0.1:40123/v1", "api_key": "…"}, …}\n

by model name; `{}` where it launches none. A server that is restarted keeps its address; every later line is the name
of a model whose server had died and is ready again, as a JSON string, so that queries go there at once; or an object
with the name of one that keeps dying and why, so that none does; any other is ignored. End of file on standard input
means that the parent is gone: the worker shuts down as on SIGTERM. A first line that is no such object ends the worker
with exit code 2, and so does an engine that can never be opened, for want of a setting or a library.

The worker loads everything and accepts connections without waiting for the line: GET /health answers 200 at once, GET
/ready 503 with what is missing until the line has come and every engine is well, requests for answers 503 with
Retry-After until the engines are open. Nothing is written to standard output; logs go to standard error.

SIGTERM and SIGINT: no new connections, running requests may finish for `shutdown_grace_s`, then they are cancelled (and
recorded as such), the store's queue is written, exit code 0. A SIGINT after that cancels them at once. A wrong
configuration: one line on standard error, exit code 2. It does not launch or stop model servers. It brings the store's
tables up to date where nobody did (two processes may do so at once); a store that cannot be used is one warning, and
the worker serves without memory.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import cast

import orjson
import uvicorn

from ..backends import Endpoint
from ..errors import ConfigError, PointsmanError
from ..router import Router
from ..router.config import load
from .app import create_app
from .config import load_server

log = logging.getLogger(__name__)

_LONGEST_LINE = 1 << 20
_KEEP_ALIVE_S = 75
"""Longer than the idle connections of common clients and balancers live, so that it is they who close (nginx: 75)."""


class Server(uvicorn.Server):
    """uvicorn's server with another signal handling: its own raises the signal again at the end, and exits with it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Stop on SIGTERM and SIGINT; at once on a SIGINT after either (a SIGTERM may come besides the terminal's)."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _stop(self, number: signal.Signals) -> None:
        if self.should_exit and number is signal.SIGINT:
            for task in self.server_state.tasks:
                task.cancel()
        self.should_exit = True


class Parent:
    """The other end of standard input: the endpoints it sends, and whether it still lives. again: told the name of each
    model whose server had died and is ready again; down: the name of each whose server keeps dying, and why."""

    def __init__(
        self,
        gone: Callable[[], None],
        again: Callable[[str], None] = lambda _: None,
        down: Callable[[str, str], None] = lambda _name, _why: None,
        descriptor: int = 0,
    ) -> None:
        self._gone, self._again, self._down, self._descriptor = gone, again, down, descriptor
        self._loop = asyncio.get_running_loop()
        self.endpoints: asyncio.Future[Mapping[str, Endpoint]] = self._loop.create_future()
        self.failed = False
        threading.Thread(target=self._read, name="pointsman-parent", daemon=True).start()

    def _read(self) -> None:
        """A thread, since any kind of file may be standard input; on the bare descriptor, since a buffered reader that
        still waits at exit is a fatal error of the interpreter."""
        line, hear = b"", self._tell
        while piece := os.read(self._descriptor, 65536):
            *lines, line = (line + piece).split(b"\n")
            if len(line) > _LONGEST_LINE:
                lines, line = [*lines, line], b""
            for one in lines:
                self._call(hear, one)
                hear = self._hear
        self._call(self._gone)

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: we are leaving anyway
            self._loop.call_soon_threadsafe(function, *arguments)

    def _tell(self, line: bytes) -> None:
        try:
            self.endpoints.set_result(read_endpoints(line))
        except ConfigError as error:
            log.error("%s", error)
            self.give_up()

    def _hear(self, line: bytes) -> None:
        with contextlib.suppress(orjson.JSONDecodeError):
            told = orjson.loads(line)
            if isinstance(told, str):
                self._again(told)
            elif isinstance(told, dict):
                for model, why in cast("dict[str, object]", told).items():
                    if isinstance(why, str):
                        self._down(model, why)

    def give_up(self) -> None:
        """Nothing can be served with what the parent gave: as if it were gone, but a failure."""
        self.failed = True
        self._gone()


def read_endpoints(line: bytes) -> dict[str, Endpoint]:
    """The parent's line. Raises ConfigError."""
    try:
        told = orjson.loads(line)
        return {str(name): Endpoint(url=str(at["url"]), api_key=at["api_key"]) for name, at in told.items()}
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        problem = f"the line with the model servers' addresses cannot be read: {type(error).__name__}: {error}"
        raise ConfigError(problem, where="standard input") from None


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; the exit code."""
    given = _arguments(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        return _serve(given)
    except PointsmanError as error:
        log.error("%s", error)
        return 2


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pointsman-worker", description="Serves HTTP; started by pointsman serve.")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--settings", type=orjson.loads, default={})
    parser.add_argument("--server", type=orjson.loads, default={})
    return parser.parse_args(arguments)


def _serve(given: argparse.Namespace) -> int:
    settings, origins = load(given.config, given.settings)
    config, _ = load_server(settings.server, origins, given.server)
    _log_from(config.log_level)
    router = Router(settings)
    router.start()
    listening = socket.socket(fileno=given.fd)

    async def serve() -> int:
        outages = router.decider.outages
        parent = Parent(lambda: setattr(server, "should_exit", True), outages.answered, outages.down)
        app = create_app(router, config, parent.endpoints, parent.give_up)
        server = Server(
            uvicorn.Config(
                app,
                loop="none",
                http="httptools",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=config.shutdown_grace_s,
            )
        )
        await server.serve(sockets=[listening])
        return 2 if parent.failed else 0

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(serve())


def _log_from(level: str) -> None:
    """Log from this level on; the libraries' own progress (tables looked at, connections opened) only for debugging."""
    logging.getLogger().setLevel(level.upper())
    if level != "debug":
        for library in ("alembic", "asyncio", "uvicorn"):
            logging.getLogger(library).setLevel(max(logging.WARNING, logging.getLogger().level))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed (not on Windows)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main())
