"""The worker as the parent holds it: started, told where the engines are, stopped (protocol: api/worker.py)."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ...domain import Json
from ...errors import LaunchError

START_S = 120.0
"""How long a worker may take until it accepts; a busy machine with a cold disk needs some tens of seconds."""
PATIENCE_S = 5.0
"""How long a start may take without a word."""
END_S = 15.0
"""How long a worker may take, once its requests are cancelled, to record them (2 s) and to close the store (10 s)."""
POLL_S = 0.02
_MODULE = "pointsman.api.worker"


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is started with: the parent's configuration file and what its command line gave, by section."""

    config: Path | None
    settings: Json
    server: Json

    def arguments(self, descriptor: int) -> list[str]:
        """The worker's command line. -P keeps the working folder's modules out of it."""
        settings = {name: value for name, value in self.settings.items() if name != "store"}
        made = [sys.executable, "-P", "-m", _MODULE, "--fd", str(descriptor)]
        made += ["--config", str(self.config.absolute())] if self.config else []
        made += ["--settings", json.dumps(settings)] if settings else []
        return made + (["--server", json.dumps(self.server)] if self.server else [])

    def environment(self, own: Mapping[str, str]) -> dict[str, str]:
        """The worker's environment; the store's URL goes here, for it may hold a password."""
        told = dict(own)
        if store := self.settings.get("store"):
            told.pop("POINTSMAN_STORE__URL", None)
            told["POINTSMAN_STORE"] = str(store)
        return told


class Worker:
    """One worker process; `start` may be called again after it died."""

    def __init__(self, listening: socket.socket, orders: Orders) -> None:
        self._listening, self._orders = listening, orders
        self._process: subprocess.Popen[bytes] | None = None
        self._told = False
        self._lock = threading.Lock()  # engines are ready again in threads of their own

    def start(self) -> None:
        """Start it. A session of its own keeps the terminal's Ctrl-C from it: the parent stops it, in order."""
        descriptor = self._listening.fileno()
        with self._lock:
            self._told = False
            self._process = subprocess.Popen(  # noqa: S603 - our own module by our own interpreter
                self._orders.arguments(descriptor),
                stdin=subprocess.PIPE,
                pass_fds=(descriptor,),
                env=self._orders.environment(os.environ),
                start_new_session=True,
            )

    def tell(self, endpoints: Mapping[str, Any]) -> None:
        """Send the line with the engines' addresses (by model name, each with url and api_key)."""
        with self._lock:
            self._say({name: {"url": at.url, "api_key": at.api_key} for name, at in endpoints.items()})
            self._told = True

    def again(self, model: str) -> None:
        """Say that a model's engine had died and is ready again; one that waits for the addresses needs no word."""
        with self._lock:
            if self._told:
                self._say(model)

    def down(self, model: str, why: str) -> None:
        """Say that a model's engine keeps dying, and why."""
        with self._lock:
            if self._told:
                self._say({model: why})

    def _say(self, told: object) -> None:
        """Write a line."""
        pipe = self._running.stdin
        assert pipe is not None
        with suppress(BrokenPipeError, ValueError):  # it is dead or being stopped: whoever waits for it sees that
            pipe.write(json.dumps(told).encode() + b"\n")
            pipe.flush()

    def await_ready(self, host: str, port: int, tell: Callable[[str], None]) -> Json:
        """Return what GET /ready says once it says 200. A server of the owner's that is loading or down is waited for;
        `tell` gets a sentence on what is missing, when that takes long and when it changes.

        Raises LaunchError where the worker ends before, or does not accept connections in time."""
        begun, said = time.monotonic(), ""
        while True:
            status, told = readiness(host, port)
            if status == 200:
                return told
            elapsed = time.monotonic() - begun
            if status is None and elapsed > START_S:
                raise LaunchError(f"the server did not accept connections in {START_S:.0f} s")
            missing = waited_for(told)
            if status is not None and elapsed > PATIENCE_S and missing != said:
                tell(f"not ready yet, still trying: {missing}")
                said = missing
            with suppress(subprocess.TimeoutExpired):
                code = self._running.wait(min(0.5, max(POLL_S, elapsed / 50)))
                raise LaunchError(f"the worker ended at start-up with exit code {code}; its messages are above")

    def wait(self) -> int:
        """Wait until it ends; its exit code."""
        return self._running.wait()

    def stop(self, kill_s: float, *, cancel_s: float | None = None) -> None:
        """Tell it to end, and kill it where it has not after `kill_s`. Running requests have its own grace, or
        `cancel_s` where that is shorter. Does nothing where none runs."""
        process = self._process
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            if cancel_s is not None and cancel_s < kill_s:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(cancel_s)
                process.send_signal(signal.SIGINT)
            process.wait(kill_s - (cancel_s or 0.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            if process.stdin is not None:
                with suppress(BrokenPipeError):
                    process.stdin.close()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "start comes first"
        return self._process


def waited_for(told: Json) -> str:
    """What a GET /ready that is not 200 says is missing, in words."""
    missing = told.get("missing")
    if isinstance(missing, dict) and missing:
        return "; ".join(f"{name}: {why}" for name, why in cast("Json", missing).items())
    return str(told.get("problem") or "the engines are starting")


def readiness(host: str, port: int) -> tuple[int | None, Json]:
    """Status and body of GET /ready; None where there is no answer (the worker does not accept yet)."""
    connection = http.client.HTTPConnection(host, port, timeout=2.0)
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        return answer.status, cast("Json", json.loads(answer.read()))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return None, {"problem": f"no answer ({error})"}
    finally:
        connection.close()
