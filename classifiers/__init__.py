"""What will each route do with this query: features, encoders, estimators, artifacts.

Names are loaded when they are first used: serving needs none of what training imports."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .artifact import Artifact, PolicyPoint, RouteKey, load, save, shipped_artifacts
    from .calibration import auroc, brier, ece
    from .embedders import Embedder, load_embedder, vectors_id
    from .estimators import Estimator, Prediction
    from .features import FEATURES, lexical, text_of
    from .fitting import HeldOut, cross_predict, fit
    from .training import TrainingSet, training_set

_WHERE = {
    "FEATURES": "features",
    "Artifact": "artifact",
    "Embedder": "embedders",
    "Estimator": "estimators",
    "HeldOut": "fitting",
    "PolicyPoint": "artifact",
    "Prediction": "estimators",
    "RouteKey": "artifact",
    "TrainingSet": "training",
    "auroc": "calibration",
    "brier": "calibration",
    "cross_predict": "fitting",
    "ece": "calibration",
    "fit": "fitting",
    "lexical": "features",
    "load": "artifact",
    "load_embedder": "embedders",
    "save": "artifact",
    "shipped_artifacts": "artifact",
    "text_of": "features",
    "training_set": "training",
    "vectors_id": "embedders",
}

__all__ = [
    "FEATURES",
    "Artifact",
    "Embedder",
    "Estimator",
    "HeldOut",
    "PolicyPoint",
    "Prediction",
    "RouteKey",
    "TrainingSet",
    "auroc",
    "brier",
    "cross_predict",
    "ece",
    "fit",
    "lexical",
    "load",
    "load_embedder",
    "save",
    "shipped_artifacts",
    "text_of",
    "training_set",
    "vectors_id",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
