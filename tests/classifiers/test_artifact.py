from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ladder_oracle import predict, seen_of

from pointsman.classifiers import (
    FEATURES,
    Artifact,
    Embedder,
    Estimator,
    PolicyPoint,
    RouteKey,
    fit,
    load,
    save,
    shipped_artifacts,
)
from pointsman.classifiers import artifact as module
from pointsman.classifiers.ladder_model import LadderModel, StateModel
from pointsman.classifiers.shrinkage import FitSettings
from pointsman.domain import Price
from pointsman.errors import ArtifactError

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ROUTES = (
    RouteKey("small", "digits", "direct", 0),
    RouteKey("budgeted", "digits", "think", 17),
    RouteKey("full", "digits", "think", None),
)
POLICY = (PolicyPoint(0.9, 12.5, error_price=30.0), PolicyPoint(0.95, 40.0, route="full"))
PARTS = ("artifact.json", "arrays.npz", "report.json")


@pytest.fixture(scope="module")
def estimator(world: Callable) -> Estimator:
    return fit(world(80).training, FitSettings(strengths=(0.1,), token_penalties=(0.1,), inner_folds=2))


@pytest.fixture
def store(estimator: Estimator, static: Embedder, tmp_path: Path) -> Callable[..., Artifact]:
    """`save` with everything given; keywords replace parts."""

    def put(**other: object) -> Artifact:
        parts: dict = {
            "routes": ROUTES,
            "embedder": "static",
            "embedder_hash": static.content_hash,
            "policy": POLICY,
            "report": {"n_queries": 80, "note": "größer"},
            "fingerprint": "abc",
            "created_at": NOW,
        }
        return save(estimator, tmp_path, **(parts | other))

    return put


def test_an_artifact_comes_back_as_it_was_saved(
    store: Callable[..., Artifact], estimator: Estimator, static: Embedder, tmp_path: Path
) -> None:
    found = load(tmp_path / store().id, static)
    assert found.routes == ROUTES
    assert found.policy == POLICY
    assert found.report == {"n_queries": 80, "note": "größer"}
    assert (found.embedder, found.embedder_hash) == ("static", static.content_hash)
    assert (found.fingerprint, found.created_at) == ("abc", NOW)
    assert set(found.versions) >= {"python", "pointsman", "numpy", "scikit-learn"}
    for name, array in estimator.arrays().items():
        np.testing.assert_array_equal(array, found.estimator.arrays()[name])


def test_the_same_content_has_the_same_name_whenever_it_was_made(
    store: Callable[..., Artifact], tmp_path: Path
) -> None:
    first = store()
    before = {name: (tmp_path / first.id / name).read_bytes() for name in PARTS}
    again = store(created_at=datetime(2027, 1, 1, tzinfo=UTC))
    assert again.id == first.id
    assert again.created_at == NOW
    assert before == {name: (tmp_path / first.id / name).read_bytes() for name in PARTS}
    assert [path.name for path in tmp_path.iterdir()] == [first.id]
    assert sorted(path.name for path in (tmp_path / first.id).iterdir()) == sorted(PARTS)


@pytest.mark.parametrize(
    "other",
    [
        {"fingerprint": "abd"},
        {"policy": ()},
        {"report": {"n_queries": 81}},
        {"routes": (replace(ROUTES[0], thinking_budget=1), *ROUTES[1:])},
        {"embedder_hash": "0" * 16},
    ],
)
def test_other_content_has_another_name(store: Callable[..., Artifact], other: dict) -> None:
    assert store(**other).id != store().id


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.sampled_from(PARTS), st.integers(0, 2**40), st.integers(0, 7))
def test_any_flipped_bit_is_noticed(
    store: Callable[..., Artifact], tmp_path: Path, part: str, place: int, bit: int
) -> None:
    file = tmp_path / store().id / part
    sound = file.read_bytes()
    harmed = bytearray(sound)
    harmed[place % len(harmed)] ^= 1 << bit
    file.write_bytes(harmed)
    try:
        with pytest.raises(ArtifactError, match="artifact"):
            load(file.parent)
    finally:
        file.write_bytes(sound)
    load(file.parent)


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_or_cut_file_is_told_with_what_to_do(
    store: Callable[..., Artifact], tmp_path: Path, part: str
) -> None:
    file = tmp_path / store().id / part
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match="retrain"):
        load(file.parent)
    file.unlink()
    with pytest.raises(ArtifactError, match="restore the folder, or retrain"):
        load(file.parent)


def test_a_renamed_folder_is_not_what_it_says(store: Callable[..., Artifact], tmp_path: Path) -> None:
    (tmp_path / store().id).rename(tmp_path / "0123456789abcdef")
    with pytest.raises(ArtifactError, match="does not have its own name"):
        load(tmp_path / "0123456789abcdef")


def reseal(folder: Path, *, arrays: bytes | None = None, **changed: object) -> None:
    """What someone who knows the layout would do: change the content and write a fitting seal."""
    if arrays is not None:
        (folder / "arrays.npz").write_bytes(arrays)
    about = json.loads((folder / "artifact.json").read_bytes()) | changed
    about["seal"] = module._seal(about, (folder / "report.json").read_bytes(), (folder / "arrays.npz").read_bytes())
    (folder / "artifact.json").write_bytes(module._Json.encode(about))


class Mischief:
    """Unpickled, it would leave a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.mark,))


def test_a_pickle_in_the_arrays_is_never_loaded(store: Callable[..., Artifact], tmp_path: Path) -> None:
    folder, mark, harm = tmp_path / store().id, tmp_path / "mark", io.BytesIO()
    with zipfile.ZipFile(harm, "w") as archive:
        array = io.BytesIO()
        np.lib.format.write_array(array, np.array([Mischief(mark)], dtype=object), allow_pickle=True)
        archive.writestr("product.npy", array.getvalue())
    reseal(folder, arrays=harm.getvalue())
    with pytest.raises(ArtifactError, match="cannot be read"):
        load(folder)
    reseal(folder, arrays=pickle.dumps(Mischief(mark)))
    with pytest.raises(ArtifactError, match="cannot be read"):
        load(folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"schema": 0}, "has layout 0, this version reads 2: retrain"),
        ({"fingerprint": "other"}, "does not have its own name"),
        ({"routes": [{"name": "small"}]}, "does not have its own name"),
    ],
)
def test_a_layout_of_another_version_and_forged_content_are_refused(
    store: Callable[..., Artifact], tmp_path: Path, changed: dict, says: str
) -> None:
    folder = tmp_path / store().id
    reseal(folder, **changed)
    with pytest.raises(ArtifactError, match=says):
        load(folder)


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ((*FEATURES[:-1], "log_rhymes"), r"text features \(log_code_words, log_rhymes\): retrain"),
        (FEATURES[::-1], r"text features \(their order\): retrain"),
    ],
)
def test_other_features_than_todays_are_named(
    store: Callable[..., Artifact], estimator: Estimator, tmp_path: Path, features: tuple[str, ...], says: str
) -> None:
    """As a version with other features would have written it: sound, but not for us."""
    folder = tmp_path / store().id
    reseal(folder, features=list(features))
    about = json.loads((folder / "artifact.json").read_bytes())
    core = {name: about[name] for name in about if name not in module._NOT_CONTENT}
    named = tmp_path / module._identity(core, (folder / "report.json").read_bytes(), estimator.arrays())
    folder.rename(named)
    with pytest.raises(ArtifactError, match=says):
        load(named)


def test_another_encoder_than_the_trained_one_is_named(
    store: Callable[..., Artifact], static: Embedder, tmp_path: Path
) -> None:
    found = store(embedder="onnx", embedder_hash="feedfeedfeedfeed")
    assert load(tmp_path / found.id).embedder == "onnx"
    with pytest.raises(ArtifactError, match=r"onnx \(feedfeedfeedfeed\), not static .*retrain"):
        load(tmp_path / found.id, static)


@pytest.mark.parametrize(
    "point",
    [
        PolicyPoint(0.9, 1.0),
        PolicyPoint(0.9, 1.0, error_price=1.0, route="full"),
        PolicyPoint(float("nan"), 1.0, route="full"),
        PolicyPoint(0.9, float("inf"), route="full"),
        PolicyPoint(0.9, 1.0, error_price=float("inf")),
        PolicyPoint(0.9, 1.0, route="full", rung=0),
        PolicyPoint(0.9, 1.0, error_price=1.0, rung=0),
        PolicyPoint(0.9, 1.0, rung=0, sure=float("nan")),
    ],
)
def test_a_policy_point_without_meaning_is_not_saved(store: Callable[..., Artifact], point: PolicyPoint) -> None:
    with pytest.raises(ArtifactError, match="no point of a policy"):
        store(policy=(point,))


def test_routes_must_be_the_estimators(store: Callable[..., Artifact]) -> None:
    with pytest.raises(ArtifactError, match="are not the estimator's"):
        store(routes=ROUTES[::-1])


def test_a_report_keeps_to_json(store: Callable[..., Artifact]) -> None:
    report = {"ece": float("nan"), "n": np.int64(3), "rows": [(1, float("-inf"))], "x": np.float64("nan")}
    assert store(report=report).report == {"ece": None, "n": 3, "rows": [[1, None]], "x": None}


def test_a_folder_that_cannot_be_written_is_told(store: Callable[..., Artifact], tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)
    tmp_path.write_text("a file where the folder should be")
    with pytest.raises(ArtifactError, match="cannot be written"):
        store()
    tmp_path.unlink()
    tmp_path.mkdir()


def test_shipped_artifacts_serve_with_the_shipped_encoder(static: Embedder) -> None:
    for path in shipped_artifacts():
        assert load(path, static).id == path.name


def test_prices_are_kept_where_they_are_given(store: Callable[..., Artifact]) -> None:
    """An artifact without them, as older versions wrote, is read as one whose prices are not known."""
    prices = tuple(Price(0.1, 0.0, float(n)) for n in range(3))
    assert store(prices=prices).prices == prices
    assert store().prices is None
    with pytest.raises(ArtifactError, match="2 prices for 3 routes"):
        store(prices=prices[:2])


def ladder(shift: float = 0.0) -> LadderModel:
    """Two routes; nothing was fitted where both are there."""
    weights = np.arange(6 * 7, dtype=np.float32).reshape(7, 6)
    probed = StateModel((0,), 2, 1, np.full(6, shift), np.ones(6), weights)
    root = StateModel((), 2, 1, np.zeros(4), np.ones(4), np.zeros((5, 5), np.float32))
    alone = StateModel((1,), 1, 0)
    states = {(1, 1): replace(alone, done=(0, 1)), (1, 0): probed, (0, 1): alone, (0, 0): root}
    return LadderModel(("small", "full"), "full", (1.0, 10.0), "free_text", ((), ()), states)


def test_a_ladder_is_kept_beside_the_estimator(
    store: Callable[..., Artifact], estimator: Estimator, static: Embedder, tmp_path: Path
) -> None:
    """It predicts as it did, its points come back, and the estimator has none of its arrays."""
    point = PolicyPoint(0.94, 8.0, rung=1, sure=0.93)
    found = load(tmp_path / store(ladder=ladder(), policy=(*POLICY, point)).id, static)
    assert found.policy == (*POLICY, point)
    assert found.ladder is not None
    assert found.ladder.about() == ladder().about()
    seen = seen_of(np.ones(len(FEATURES), np.float32), [4.0, 0.0], [0, -1], [{}, {}])
    np.testing.assert_array_equal(predict(found.ladder, (1, 0), seen), predict(ladder(), (1, 0), seen))
    assert set(found.estimator.arrays()) == set(estimator.arrays())


def test_a_ladder_is_part_of_what_an_artifact_is(store: Callable[..., Artifact]) -> None:
    """The same one gives the same name; another, or none, another."""
    named = store(ladder=ladder()).id
    assert store(ladder=ladder(), created_at=datetime(2027, 1, 1, tzinfo=UTC)).id == named
    assert (
        len({named, store().id, store(ladder=ladder(0.5)).id, store(ladder=replace(ladder(), reference="s")).id}) == 4
    )


def test_without_a_ladder_an_artifact_is_written_as_it_always_was(
    store: Callable[..., Artifact], tmp_path: Path
) -> None:
    """Nothing new is said in it, so that its name is what it was before there were ladders."""
    about = json.loads((tmp_path / store().id / "artifact.json").read_bytes())
    content = {"schema", "routes", "embedder", "embedder_hash", "features", "policy", "fingerprint"}
    assert set(about) == content | {"created_at", "versions", "seal"}
    assert [set(point) for point in about["policy"]] == [{"accuracy", "cost", "error_price", "route"}] * 2
    assert store().ladder is None


@pytest.mark.parametrize("part", ["layout", "states", "routes"])
def test_a_ladder_that_cannot_be_read_is_told(
    store: Callable[..., Artifact], estimator: Estimator, tmp_path: Path, part: str
) -> None:
    """Sound in every byte, but not a ladder as we know it."""
    folder = tmp_path / store(ladder=ladder()).id
    told = ladder().about()
    del told[part]
    reseal(folder, ladder=told)
    about = json.loads((folder / "artifact.json").read_bytes())
    core = {name: about[name] for name in about if name not in module._NOT_CONTENT}
    arrays = estimator.arrays() | ladder().arrays()
    named = tmp_path / module._identity(core, (folder / "report.json").read_bytes(), arrays)
    folder.rename(named)
    with pytest.raises(ArtifactError, match=f"cannot be read .*{part}"):
        load(named)


@pytest.mark.parametrize("part", PARTS)
def test_an_artifact_with_a_ladder_is_sealed(store: Callable[..., Artifact], tmp_path: Path, part: str) -> None:
    file = tmp_path / store(ladder=ladder()).id / part
    sound = bytearray(file.read_bytes())
    sound[len(sound) // 2] ^= 1
    file.write_bytes(sound)
    with pytest.raises(ArtifactError, match="artifact"):
        load(file.parent)
