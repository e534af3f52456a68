"""Sentence encoders behind one interface: texts in, unit vectors out.

`static` ships in the package and needs neither torch nor a download; `onnx` (an int8 export run by onnxruntime) and
`sentence-transformers` (torch) read a folder that the owner names. All three run on one core, download nothing, and
see at most `window` characters of a text, so a long text costs no more than a bounded one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, MissingExtra
from .features import FEATURES, window

Floats: TypeAlias = NDArray[np.float32]

HEAD, TAIL = 1536, 512
"""Characters that are embedded of a long text's beginning and end: about 500 tokens."""

BATCH = 64
"""Texts that go through a transformer at once."""


class Embedder(Protocol):
    """What the estimators need of an encoder."""

    @property
    def name(self) -> str:
        """`static`, `onnx` or `sentence-transformers`."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    @property
    def content_hash(self) -> str:
        """First 16 hex digits of SHA-256 over the encoder's files: an artifact remembers which encoder it needs."""
        ...

    def encode(self, texts: Sequence[str]) -> Floats:
        """One unit vector per text, (n, dimensions) float32; a text without any token gets zeros. Thread-safe."""
        ...


def load_embedder(name: str = "static", path: Path | str | None = None) -> Embedder:
    """The encoder of that name, ready to run.

    path: its folder; None takes the one in the package (only `static` has one). Raises ConfigError for an unknown
    name or a folder without the files, MissingExtra where a library is missing."""
    loaders: dict[str, Callable[[Path], Embedder]] = {
        "static": StaticEmbedder,
        "onnx": OnnxEmbedder,
        "sentence-transformers": TorchEmbedder,
    }
    if name not in loaders:
        raise ConfigError(f"no encoder {name!r}; known: {', '.join(loaders)}", field="encoder")
    if path is None:
        if name != "static":
            raise ConfigError(f"the encoder {name!r} needs the path of its folder", field="encoder_path")
        path = shipped_folder()
    return loaders[name](Path(path))


def vectors_id(embedder: Embedder) -> str:
    """What made a query's stored features and embedding: the encoder's hash and that of the list of features. Those of
    another encoder or list must not be mixed in."""
    features = hashlib.sha256("\n".join(FEATURES).encode()).hexdigest()[:8]
    return f"{embedder.content_hash}+{features}"


def shipped_folder() -> Path:
    """The folder of the static encoder in the package."""
    return Path(__file__).parent / "models" / "static"


class StaticEmbedder:
    """Mean of one vector per token: a model2vec folder (model.safetensors, tokenizer.json, config.json).

    The folder is read here and not by `model2vec.StaticModel` (whose results it reproduces): that one imports the
    Hugging Face hub, and sets the tokenizer's truncation on every call, which raises "Already borrowed" when two
    threads encode at once (huggingface/tokenizers #537)."""

    FILES = ("model.safetensors", "tokenizer.json")
    name = "static"

    def __init__(self, folder: Path) -> None:
        from safetensors import numpy as safetensors

        self.content_hash = _folder_hash(folder, self.FILES)
        self._vectors: NDArray[Any] = cast("Any", safetensors).load_file(folder / "model.safetensors")["embeddings"]
        self.dimensions = int(self._vectors.shape[1])
        self._tokenizer = _tokenizer(folder)
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._unknown = self._tokenizer.token_to_id(self._tokenizer.model.unk_token)

    def encode(self, texts: Sequence[str]) -> Floats:
        out = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        encodings = self._tokenizer.encode_batch_fast([_seen(text) for text in texts], add_special_tokens=False)
        for row, encoding in enumerate(encodings):
            ids = [token for token in encoding.ids if token != self._unknown]
            if ids:
                out[row] = self._vectors[ids].sum(axis=0, dtype=np.float32)
        return _unit(out)


class OnnxEmbedder:
    """A transformer exported to ONNX (model.onnx: input_ids, attention_mask -> token states or one vector a text)
    with its tokenizer.json, run by onnxruntime on one thread."""

    FILES = ("model.onnx", "tokenizer.json")
    name = "onnx"

    def __init__(self, folder: Path) -> None:
        try:
            import onnxruntime  # pyright: ignore[reportMissingTypeStubs]  # it ships none
        except ImportError as error:
            raise MissingExtra("The encoder 'onnx'", "onnx") from error
        self.content_hash = _folder_hash(folder, self.FILES)
        runtime = cast("Any", onnxruntime)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = runtime.InferenceSession(
            str(folder / "model.onnx"), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._inputs = {entry.name for entry in self._session.get_inputs()}
        self._tokenizer = _tokenizer(folder)
        self._tokenizer.enable_truncation(_token_limit(folder))
        self._tokenizer.enable_padding()
        self.dimensions = int(self.encode(["."]).shape[1])

    def encode(self, texts: Sequence[str]) -> Floats:
        batches = [self._run(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        return np.concatenate(batches) if batches else np.zeros((0, self.dimensions), dtype=np.float32)

    def _run(self, texts: Sequence[str]) -> Floats:
        encodings = self._tokenizer.encode_batch([_seen(text) for text in texts])
        ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        result = self._session.run(None, {name: feed[name] for name in self._inputs})[0]
        states = cast("Floats", result).astype(np.float32)
        if states.ndim == 3:  # token states: their mean over the real tokens is the sentence's vector
            states = np.einsum("nth,nt->nh", states, mask.astype(np.float32))
        return _unit(states)


class TorchEmbedder:
    """A sentence-transformers folder, run by torch on one thread, one call at a time: its tokenizer and torch's thread
    count are changed by every call."""

    FILES = ("model.safetensors", "tokenizer.json", "config.json")
    name = "sentence-transformers"

    def __init__(self, folder: Path) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtra("The encoder 'sentence-transformers'", "transformers") from error
        self.content_hash = _folder_hash(folder, self.FILES)
        self._model = cast("Any", SentenceTransformer(str(folder), device="cpu", local_files_only=True))
        self._lock = Lock()
        self.dimensions = int(self.encode(["."]).shape[1])

    def encode(self, texts: Sequence[str]) -> Floats:
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        seen = [_seen(text) for text in texts]
        with self._lock, _one_torch_thread():
            vectors = self._model.encode(seen, batch_size=BATCH, show_progress_bar=False, convert_to_numpy=True)
        return _unit(np.asarray(vectors, dtype=np.float32))


@contextmanager
def _one_torch_thread() -> Generator[None]:
    """The thread count is torch's own, for the whole process: put it back for a model that runs beside us."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _seen(text: str) -> str:
    """What is embedded of a text. Half a surrogate pair, which JSON may hold, becomes a question mark: the tokenizers
    take only what UTF-8 can say."""
    cut = window(text, HEAD, TAIL)
    return cut if cut.isascii() else cut.encode("utf-8", "replace").decode("utf-8")


def _unit(vectors: Floats) -> Floats:
    """The rows at length 1; rows of zeros stay."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)


def _tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder (of the tokenizers library, whose types are incomplete)."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def _token_limit(folder: Path) -> int:
    """Tokens that the model was trained on: sentence_bert_config.json where there is one, else 256."""
    config = folder / "sentence_bert_config.json"
    return int(json.loads(config.read_text())["max_seq_length"]) if config.is_file() else 256


def _folder_hash(folder: Path, names: Sequence[str]) -> str:
    """First 16 hex digits of SHA-256 over the names and bytes of the files. Raises ConfigError where one is missing."""
    digest = hashlib.sha256()
    for name in names:
        file = folder / name
        if not file.is_file():
            raise ConfigError(f"{folder} is no folder of this encoder: {name} is missing", field="encoder_path")
        digest.update(f"{name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16]
