"""Which artifact serves: the promoted one if it speaks for the routes at hand, else a shipped one that does, else none.

A running router looks again from time to time, so that a promotion or a rollback takes hold without a restart."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..classifiers import Artifact, load, shipped_artifacts
from ..domain import Route
from ..errors import ArtifactError, StoreError
from ..store import Store
from .decide import Decider, Learnt, learnt, unknown

log = logging.getLogger(__name__)

INTERVAL_S = 1.0


def find(store: Store, routes: Sequence[Route], embedder_hash: str) -> tuple[Learnt | None, tuple[str, ...]]:
    """The artifact for these routes, and what was wrong with those passed over."""
    problems: list[str] = []
    for path in _paths(store, problems):
        try:
            artifact = load(path)
        except ArtifactError as error:
            problems.append(str(error))
            continue
        if artifact.embedder_hash != embedder_hash:
            problems.append(f"artifact {artifact.id} was trained with another encoder: run pointsman retrain")
        elif (found := learnt(artifact, routes)) is not None:
            return found, (*problems, *((found.warning,) if found.warning else ()))
        elif path not in shipped_artifacts():  # those are for routes that most owners do not have
            problems.append(mismatch(artifact, routes) or "")
    return None, tuple(problems)


def mismatch(artifact: Artifact, routes: Sequence[Route]) -> str | None:
    """Why the artifact cannot serve these routes, in a sentence; None where it can."""
    strange = unknown(artifact.routes, routes)
    if not strange:
        return None
    trained = ", ".join(route.name for route in artifact.routes)
    return (
        f"artifact {artifact.id} cannot serve: it was trained for the routes {trained}, "
        f"and does not know {', '.join(strange)} as configured (name, model, mode and thinking budget): run pointsman "
        "retrain, or name the configuration with those routes"
    )


def _paths(store: Store, problems: list[str]) -> Iterator[Path]:
    try:
        if (row := store.serving()) is not None:
            yield Path(row.path)
    except StoreError as error:
        problems.append(str(error))
    yield from shipped_artifacts()


class Refresher:
    """A thread that keeps a decider's artifact the one that serves."""

    def __init__(self, decider: Decider, store: Store, *, interval_s: float = INTERVAL_S) -> None:
        self._decider, self._store, self._interval_s = decider, store, interval_s
        self._stop = threading.Event()
        self._seen: str | None = None
        self._down = False
        self._thread = threading.Thread(target=self._watch, name="pointsman-artifacts", daemon=True)

    def start(self, *, down: bool = False) -> None:
        """Look once now, then go on looking. down: the store cannot be used, as has been said already."""
        self._down = down
        self.look()
        self._thread.start()

    def look(self) -> None:
        """Serve what should serve now. A database that is down changes nothing."""
        known = ""
        try:
            row = self._store.serving()
        except StoreError as error:
            known = str(error)
            if not self._down:  # once, not at every look
                log.warning("the store cannot say which artifact serves: %s", error)
            self._down, row = True, None
            if self._seen is not None:
                return
        else:
            self._down = False
        promoted = row.id if row else ""
        if promoted == self._seen:
            return
        self._seen = promoted
        found, problems = find(self._store, self._decider.standing.routes, self._decider.embedder.content_hash)
        for problem in problems:
            if problem != known:
                log.warning("%s", problem)
        self._decider.use(found)

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.look()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
