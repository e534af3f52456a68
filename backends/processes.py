"""The processes of this machine, as far as Linux's /proc tells them: who is whose, to end what a server leaves behind.

Elsewhere nothing is listed, and only the server's own process group is ended."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Process:
    """One process. parent, session: their ids; alive: False for one that has ended and waits to be looked at."""

    pid: int
    parent: int
    session: int
    alive: bool


def processes() -> Iterator[Process]:
    """All that can be seen."""
    for folder in _PROC.glob("[0-9]*") if sys.platform == "linux" else ():
        try:
            # pid (name, which may hold anything) state parent group session …: proc(5)
            told = (folder / "stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # it is gone
        yield Process(int(folder.name), int(told[1]), int(told[3]), told[0] not in "ZX")


def adopt() -> None:
    """From here on, what our children leave behind becomes our child. Does nothing where the system cannot."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children() -> list[int]:
    """Our own children that run."""
    return [one.pid for one in processes() if one.parent == os.getpid() and one.alive]


def kill_session(session: int) -> None:
    """Kill what is left of a session whose leader has ended."""
    for one in processes():
        if one.session == session and one.alive:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(one.pid, signal.SIGKILL)
