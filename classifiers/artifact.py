"""A trained estimator on disk: an immutable folder of arrays and JSON, named by the hash of its content.

`artifact.json` says what it is for, `arrays.npz` holds the estimator's arrays, `report.json` the training report.
Nothing in it can execute code, and a folder whose content does not hash to its name is not loaded."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..domain import Json
from ..errors import ArtifactError
from .estimators import Estimator
from .features import FEATURES

SCHEMA = 1
"""Version of this layout: an artifact of another one is not read."""

_ABOUT, _ARRAYS, _REPORT = "artifact.json", "arrays.npz", "report.json"


@dataclass(frozen=True, slots=True)
class RouteKey:
    """What makes a route the one that an artifact was trained on. thinking_budget: tokens, 0 off, None unlimited."""

    name: str
    model: str
    mode: str
    thinking_budget: int | None


@dataclass(frozen=True, slots=True)
class PolicyPoint:
    """What a rule came to on the training part, groups left out: accuracy in [0, 1] and mean cost in currency, of the
    policy at this price of an error, or of this fixed route. Exactly one of the two is set."""

    accuracy: float
    cost: float
    error_price: float | None = None
    route: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """A trained estimator for these routes, in its estimator's order, with what was measured while training it.

    embedder, embedder_hash: the encoder that it needs. fingerprint: of the training data."""

    id: str
    routes: tuple[RouteKey, ...]
    estimator: Estimator
    embedder: str
    embedder_hash: str
    policy: tuple[PolicyPoint, ...]
    report: Json
    fingerprint: str
    created_at: datetime


def save(
    estimator: Estimator,
    folder: Path,
    *,
    routes: Sequence[RouteKey],
    embedder: str,
    embedder_hash: str,
    policy: Sequence[PolicyPoint],
    report: Json,
    fingerprint: str,
    created_at: datetime,
) -> Artifact:
    """Write the artifact into a folder of its own below `folder` and return it. The same content has the same id,
    whenever it was made. Raises ArtifactError where it cannot be written or the routes are not the estimator's."""
    if [route.name for route in routes] != list(estimator.routes):
        raise ArtifactError(f"the routes {[r.name for r in routes]} are not the estimator's {list(estimator.routes)}")
    about: Json = {
        "schema": SCHEMA,
        "routes": [asdict(route) for route in routes],
        "embedder": embedder,
        "embedder_hash": embedder_hash,
        "features": list(FEATURES),
        "policy": [asdict(point) for point in policy],
        "fingerprint": fingerprint,
    }
    arrays = estimator.arrays()
    identity = _identity(about, arrays, report)
    made = {**about, "created_at": created_at.isoformat(), "numpy": np.__version__}
    target = folder / identity
    if not target.exists():
        _write(target, made, arrays, report)
    return load(target)


def load(path: Path) -> Artifact:
    """The artifact in this folder. Raises ArtifactError saying what is wrong with it and what to do."""
    try:
        about: Json = json.loads((path / _ABOUT).read_text(encoding="utf-8"))
        report: Json = json.loads((path / _REPORT).read_text(encoding="utf-8"))
        with np.load(io.BytesIO((path / _ARRAYS).read_bytes()), allow_pickle=False) as stored:
            arrays: dict[str, NDArray[Any]] = {name: stored[name] for name in stored.files}
        _check(path, about, arrays, report)
        routes = tuple(RouteKey(**route) for route in about["routes"])
        return Artifact(
            id=path.name,
            routes=routes,
            estimator=Estimator.from_arrays(tuple(route.name for route in routes), arrays),
            embedder=about["embedder"],
            embedder_hash=about["embedder_hash"],
            policy=tuple(PolicyPoint(**point) for point in about["policy"]),
            report=report,
            fingerprint=about["fingerprint"],
            created_at=datetime.fromisoformat(about["created_at"]),
        )
    except ArtifactError:
        raise
    except Exception as error:
        # Whatever a damaged file makes numpy, json or zipfile raise, it means one thing.
        raise ArtifactError(f"the artifact {path} cannot be read ({error}); retrain, or restore the folder") from error


def shipped_artifacts() -> tuple[Path, ...]:
    """The folders of the artifacts that come with Pointsman."""
    folder = Path(str(files(__package__).joinpath("models", "shipped")))
    return tuple(sorted(p for p in folder.glob("*") if (p / _ABOUT).is_file()))


def _check(path: Path, about: Json, arrays: Mapping[str, NDArray[Any]], report: Json) -> None:
    if about.get("schema") != SCHEMA:
        raise ArtifactError(
            f"the artifact {path} has layout {about.get('schema')}, this version reads {SCHEMA}: retrain"
        )
    core = {name: about[name] for name in about if name not in ("created_at", "numpy")}
    if (found := _identity(core, arrays, report)) != path.name:
        raise ArtifactError(f"the artifact {path} was changed or damaged: its content hashes to {found}, not its name")
    if about["features"] != list(FEATURES):
        raise ArtifactError(f"the artifact {path} was trained on other text features than this version's: retrain")


def _identity(about: Json, arrays: Mapping[str, NDArray[Any]], report: Json) -> str:
    """First 16 hex digits of SHA-256 over canonical JSON and the arrays' bytes, in order of name."""
    digest = hashlib.sha256()
    for part in (about, report):
        digest.update(json.dumps(part, sort_keys=True, separators=(",", ":"), allow_nan=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}:{array.dtype.str}:{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def _write(target: Path, about: Json, arrays: Mapping[str, NDArray[Any]], report: Json) -> None:
    """Everything into a temporary folder, then one rename: a reader sees the whole artifact or none."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as made:
            new = Path(made) / target.name
            new.mkdir()
            (new / _ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
            (new / _REPORT).write_text(json.dumps(report, indent=1), encoding="utf-8")
            with (new / _ARRAYS).open("wb") as out:
                np.savez(out, allow_pickle=False, **arrays)
            shutil.move(new, target)
    except OSError as error:
        if not target.exists():
            raise ArtifactError(f"the artifact cannot be written to {target.parent}: {error}") from error
