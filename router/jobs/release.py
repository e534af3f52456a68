"""From observations to an artifact in the register, and into service where it is better than what serves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...classifiers import Embedder
from ...store import Store
from ..serving import find
from .retrain import Retrained, retrain
from .sources import Source


@dataclass(frozen=True, slots=True)
class Released:
    """What was trained, the artifact that it was compared with (None: none served), whether it serves now."""

    retrained: Retrained
    against: str | None
    promoted: bool


def release(store: Store, source: Source, embedder: Embedder, folder: Path, *, promote: bool | None = None) -> Released:
    """Train, register, and promote. promote: True: in any case; False: never; None: only if shown to be better.

    Artifacts go to `folder`. Raises DataError where the observations teach nothing, StoreError."""
    serving, _ = find(store, source.aim.routes, embedder.content_hash)
    made = retrain(
        source.observations,
        source.aim,
        embedder,
        folder,
        serving=serving.artifact if serving else None,
        notes=source.notes,
    )
    store.register(made.artifact.id, str(made.path), made.report, made.artifact.created_at)
    wanted = made.comparison.better if promote is None else promote
    if wanted:
        store.promote(made.artifact.id)
    return Released(made, serving.artifact.id if serving else None, wanted)
