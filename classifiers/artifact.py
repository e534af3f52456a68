"""A trained estimator on disk: an immutable folder of arrays and JSON, named by the hash of its content.

`artifact.json` says what it is for, `arrays.npz` holds the estimator's arrays, `report.json` the training report.
Nothing in it can execute code. The name is a hash of all that matters (the same training gives the same name, whenever
it ran); a second hash, the seal, covers every byte of the folder.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from ..domain import Json, Price
from ..errors import ArtifactError
from .embedders import Embedder
from .estimators import Estimator
from .features import FEATURES
from .ladder_model import LADDER_ARRAYS, LadderModel

SCHEMA = 2
"""Version of this layout: an artifact of another one is not read."""

_ABOUT, _ARRAYS, _REPORT = "artifact.json", "arrays.npz", "report.json"
_NOT_CONTENT = ("created_at", "versions", "seal")


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
    policy on the text at this price of an error, of this fixed route, or of the ladder at the price with this place
    (rung). Exactly one of the three is set. sure: the accuracy that may be relied on, None: that measured."""

    accuracy: float
    cost: float
    error_price: float | None = None
    route: str | None = None
    rung: int | None = None
    sure: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Artifact:
    """A trained estimator for these routes, in its estimator's order, with what was measured while training it.

    embedder, embedder_hash: the encoder that it needs. fingerprint: of the training data. versions: of what trained
    it, by name. prices: the routes' prices at that time, in which the policy's points are told (None: not recorded).
    ladder: what to buy before committing, None where too little was recorded to fit it."""

    id: str
    routes: tuple[RouteKey, ...]
    estimator: Estimator
    embedder: str
    embedder_hash: str
    policy: tuple[PolicyPoint, ...]
    report: Json
    fingerprint: str
    created_at: datetime
    versions: Mapping[str, str]
    prices: tuple[Price, ...] | None = None
    ladder: LadderModel | None = None


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
    prices: Sequence[Price] | None = None,
    ladder: LadderModel | None = None,
) -> Artifact:
    """Write the artifact into a folder of its own below `folder` and return it.

    The same content has the same id, whenever it was made; the folder that is there already then stays as it is.
    Numbers of the report that JSON has no word for (NaN, infinity) become null. Raises ArtifactError where it cannot be
    written, the routes are not the estimator's, there is no price for each, or a point of the policy is no number."""
    if prices is not None and len(prices) != len(routes):
        raise ArtifactError(f"there are {len(prices)} prices for {len(routes)} routes")
    if [route.name for route in routes] != list(estimator.routes):
        raise ArtifactError(f"the routes {[r.name for r in routes]} are not the estimator's {list(estimator.routes)}")
    about: Json = {
        "schema": SCHEMA,
        "routes": [asdict(route) for route in routes],
        "embedder": embedder,
        "embedder_hash": embedder_hash,
        "features": list(FEATURES),
        "policy": [_told(_checked(point)) for point in policy],
        "fingerprint": fingerprint,
    }
    if prices is not None:
        about["prices"] = [asdict(price) for price in prices]
    if ladder is not None:
        about["ladder"] = ladder.about()
    arrays = estimator.arrays() | (ladder.arrays() if ladder is not None else {})
    told = _Json.encode(cast("Json", _plain(report)))
    target = folder / _identity(about, told, arrays)
    if not target.exists():
        stored = io.BytesIO()
        np.savez(stored, allow_pickle=False, **arrays)
        made: Json = {**about, "created_at": created_at.isoformat(), "versions": _versions()}
        made["seal"] = _seal(made, told, stored.getvalue())
        _write(target, {_ABOUT: _Json.encode(made), _REPORT: told, _ARRAYS: stored.getvalue()})
    return load(target)


def load(path: Path, embedder: Embedder | None = None) -> Artifact:
    """The artifact in this folder, every byte checked.

    embedder: the encoder that will serve; then its hash must be the one that the artifact was trained with. Raises
    ArtifactError saying what differs and what to do."""
    try:
        parts = {name: (path / name).read_bytes() for name in (_ABOUT, _REPORT, _ARRAYS)}
        about = _Json.decode(parts[_ABOUT])
        if about.get("schema") != SCHEMA:
            raise ArtifactError(
                f"the artifact {path} has layout {about.get('schema')}, this version reads {SCHEMA}: retrain"
            )
        if about.get("seal") != _seal(about, parts[_REPORT], parts[_ARRAYS]):
            raise ArtifactError(f"the artifact {path} was changed or damaged: restore the folder, or retrain")
        with np.load(io.BytesIO(parts[_ARRAYS]), allow_pickle=False) as stored:
            arrays: dict[str, NDArray[Any]] = {name: stored[name] for name in stored.files}
        core = {name: about[name] for name in about if name not in _NOT_CONTENT}
        if (found := _identity(core, parts[_REPORT], arrays)) != path.name:
            raise ArtifactError(f"the artifact {path} does not have its own name: its content hashes to {found}")
        artifact = _artifact(path.name, about, _Json.decode(parts[_REPORT]), arrays)
    except (OSError, ValueError, KeyError, TypeError, BadZipFile, EOFError) as error:
        raise ArtifactError(f"the artifact {path} cannot be read ({error}); restore the folder, or retrain") from error
    _check(path, artifact, about["features"], embedder)
    return artifact


def shipped_artifacts() -> tuple[Path, ...]:
    """The folders of the artifacts that come with Pointsman."""
    folder = Path(__file__).parent / "models" / "shipped"
    return tuple(sorted(path for path in folder.glob("*") if (path / _ABOUT).is_file()))


class _Json:
    """JSON in one spelling only, so that a file has no byte that could be changed without changing its content."""

    @staticmethod
    def encode(value: Json) -> bytes:
        return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False).encode() + b"\n"

    @staticmethod
    def decode(data: bytes) -> Json:
        """Raises ValueError for anything but a JSON object in that spelling."""
        value = json.loads(data)
        if not isinstance(value, dict) or _Json.encode(cast("Json", value)) != data:
            raise ValueError("not JSON as it was written")
        return cast("Json", value)


def _artifact(identity: str, about: Json, report: Json, arrays: Mapping[str, NDArray[Any]]) -> Artifact:
    """The parsed parts as an artifact. Raises ValueError, KeyError or TypeError where one is not what it should be."""
    routes = tuple(RouteKey(**route) for route in about["routes"])
    rungs = {name: arrays[name] for name in arrays if name.startswith(LADDER_ARRAYS)}
    own = {name: arrays[name] for name in arrays if name not in rungs}
    return Artifact(
        id=identity,
        routes=routes,
        estimator=Estimator.from_arrays(tuple(route.name for route in routes), own),
        embedder=about["embedder"],
        embedder_hash=about["embedder_hash"],
        policy=tuple(_checked(PolicyPoint(**point)) for point in about["policy"]),
        report=report,
        fingerprint=about["fingerprint"],
        created_at=datetime.fromisoformat(about["created_at"]),
        versions=about["versions"],
        prices=tuple(Price(**price) for price in about["prices"]) if "prices" in about else None,
        ladder=LadderModel.from_parts(about["ladder"], rungs) if "ladder" in about else None,
    )


def _check(path: Path, artifact: Artifact, features: Sequence[str], embedder: Embedder | None) -> None:
    """Whether this program's features and encoder are those that the artifact was trained on."""
    if list(features) != list(FEATURES):
        differ = ", ".join(sorted(set(features) ^ set(FEATURES))) or "their order"
        raise ArtifactError(f"the artifact {path} was trained on other text features ({differ}): retrain")
    if embedder is not None and embedder.content_hash != artifact.embedder_hash:
        raise ArtifactError(
            f"the artifact {path} was trained with the encoder {artifact.embedder} ({artifact.embedder_hash}), "
            f"not {embedder.name} ({embedder.content_hash}): configure that encoder, or retrain"
        )


def _checked(point: PolicyPoint) -> PolicyPoint:
    """The point itself. Raises ArtifactError where it is no point."""
    numbers = [n for n in (point.accuracy, point.cost, point.error_price, point.sure) if n is not None]
    rules = [point.error_price is not None, point.route is not None, point.rung is not None]
    if not all(isfinite(number) for number in numbers) or sum(rules) != 1:
        raise ArtifactError(f"{point} is no point of a policy: finite numbers, and an error price, a route or a rung")
    return point


def _told(point: PolicyPoint) -> Json:
    """The point as JSON; what only the ladder's points have is left out of the others."""
    return {name: value for name, value in asdict(point).items() if value is not None or name not in ("rung", "sure")}


def _plain(value: Any) -> Any:
    """The value with numbers that JSON cannot say as None, and numpy's as Python's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in cast("Sequence[Any]", value)]
    if isinstance(value, np.generic):
        return _plain(cast("Any", value).item())
    return None if isinstance(value, float) and not isfinite(value) else value


def _identity(about: Json, report: bytes, arrays: Mapping[str, NDArray[Any]]) -> str:
    """First 16 hex digits of SHA-256 over what the artifact is for, its report, and its arrays in order of name."""
    digest = hashlib.sha256(_Json.encode(about) + report)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}:{array.dtype.str}:{array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def _seal(about: Json, report: bytes, arrays: bytes) -> str:
    """SHA-256 over every byte that is stored, but for the seal itself."""
    rest = _Json.encode({name: about[name] for name in about if name != "seal"})
    lengths = f"{len(rest)}:{len(report)}:".encode()
    return hashlib.sha256(lengths + rest + report + arrays).hexdigest()


def _versions() -> dict[str, str]:
    """What trained the artifact."""
    found = {"python": platform.python_version()}
    for name in ("pointsman", "numpy", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _write(target: Path, parts: Mapping[str, bytes]) -> None:
    """Everything into a temporary folder, then one rename: a reader sees the whole artifact or none."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as made:
            new = Path(made) / target.name
            new.mkdir()
            for name, data in parts.items():
                (new / name).write_bytes(data)
            new.rename(target)
    except OSError as error:
        if not target.exists():  # else another process was quicker with the same content
            raise ArtifactError(f"the artifact cannot be written to {target.parent}: {error}") from error
