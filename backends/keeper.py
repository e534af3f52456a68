"""Keeps one server that is not ours: `python -m pointsman.backends.keeper NAME`, with the order on standard input.

The first line of standard input is what to run (Order, as JSON: nothing of it is seen in `ps`); after it, standard
input is a pipe that the parent holds and never writes to. When that closes, by the parent's `stop` or because it is
gone, even by SIGKILL, the server is told to end (SIGTERM), and killed where it does not in time: with all that it
started, which is its process group and, on Linux, what left that. So it is too when the server ends by itself. What it
prints goes to its log. Exit code: the server's, 128 + n where signal n ended it, 127 where it could not be run.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .log_file import LogWriter
from .processes import adopt, children

NOT_RUN = 127
_PARENT_CHECK_S = 0.5
_REST_S = 1.0
"""How long what a server left behind may take to end."""
_KILLED_S = 5.0
"""How long a killed process may take to be gone; one that hangs in the kernel is left."""
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Order:
    """What to run. env: variables to set; log: the file; key: kept out of the log; stop_s: from SIGTERM to SIGKILL."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    log: str
    key: str
    stop_s: float

    def line(self) -> bytes:
        """For standard input."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Order:
        """What `line` wrote. Raises ValueError, TypeError."""
        told: dict[str, Any] = json.loads(line)
        return cls(tuple(told["command"]), told["env"], told["log"], told["key"], told["stop_s"])


class _Kept:
    """A server that runs: its process group ends with it."""

    def __init__(self, order: Order) -> None:
        self._order, self._parent = order, os.getppid()
        self._told, self._ended = threading.Event(), threading.Event()
        adopt()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("POINTSMAN_")}
        self._server = subprocess.Popen(  # noqa: S603 the owner's own command
            order.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**inherited, **order.env},
            process_group=0,
        )

    def tell(self, *_: object) -> None:
        """End it soon."""
        self._told.set()

    def run(self, log: LogWriter) -> int:
        """Wait for its end, and see to it where the parent wants it; its code."""
        copying = threading.Thread(target=self._copy, args=(log,), daemon=True)
        copying.start()
        threading.Thread(target=self._end, daemon=True).start()
        code = self._server.wait()
        self._ended.set()
        self._clear()
        copying.join(_REST_S)  # a process that could not be killed may hold the pipe
        return code if code >= 0 else 128 - code

    def _copy(self, log: LogWriter) -> None:
        out = self._server.stdout
        assert out is not None
        while piece := os.read(out.fileno(), 65_536):
            with suppress(OSError, ValueError):  # a full disk must not stop the server
                log.write(piece)
        with suppress(OSError, ValueError):
            log.close()

    def _end(self) -> None:
        """Wait for the parent's word, or its end; then end the server."""
        while not self._told.is_set() and os.getppid() == self._parent:
            # a process that inherited the pipe's other end (a forked worker) would keep it open: see to the parent too
            readable, _, _ = select.select([sys.stdin.fileno()], [], [], _PARENT_CHECK_S)
            if readable and not os.read(sys.stdin.fileno(), 1):
                break
        self._signal(signal.SIGTERM)
        if not self._ended.wait(self._order.stop_s):
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> bool:
        """Send a signal to its process group (0: none); whether there is one."""
        try:
            os.killpg(self._server.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS: not permitted, where only the dead are left of it
            return False
        return True

    def _clear(self) -> None:
        """End what the server left behind: its group, and what has become our child."""
        self._signal(signal.SIGTERM)
        told: set[int] = set()
        began = time.monotonic()
        while (waited := time.monotonic() - began) < _REST_S + _KILLED_S:
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            late = waited > _REST_S
            left = children()
            for pid in left:
                with suppress(ProcessLookupError):
                    if late or pid not in told:
                        os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            told.update(left)
            if not self._signal(signal.SIGKILL if late else 0) and not left:
                return
            time.sleep(_POLL_S)


def main() -> int:
    """Run what standard input says until the parent is gone, or the server; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(sys.stdin.fileno(), 65_536)
        if not piece:
            return 0  # the parent went before it said anything
        line += piece
    order = Order.read(line)
    log = LogWriter(Path(order.log), order.key)
    try:
        kept = _Kept(order)
    except OSError as error:
        log.write(f"{order.command[0]} cannot be run: {error.strerror or error}\n".encode())
        return NOT_RUN
    signal.signal(signal.SIGTERM, kept.tell)
    return kept.run(log)


if __name__ == "__main__":
    sys.exit(main())
