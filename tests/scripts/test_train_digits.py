"""The training script runs from the command line and writes both forms, which load."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What three steps of training write."""
    folder = tmp_path_factory.mktemp("digits")
    command = [sys.executable, "scripts/train_digits.py", "--out", str(folder), "--steps", "3", "--questions", "0"]
    done = subprocess.run([*command, "--threads", "1"], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "3/3" in done.stdout
    return folder


def test_it_writes_the_same_files_as_are_committed(trained: Path, folder: Path) -> None:
    assert {path.name for path in trained.iterdir()} == {path.name for path in folder.iterdir()}
    for name in (
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    ):
        assert (trained / name).read_text(encoding="utf-8") == (folder / name).read_text(encoding="utf-8")
    assert json.loads((trained / "report.json").read_text(encoding="utf-8"))["steps"] == 3


def test_both_forms_load(trained: Path) -> None:
    import torch
    from gguf import GGUFReader
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(trained, dtype=torch.float32)
    assert model(torch.tensor([[1, 2, 3]])).logits.shape == (1, 3, model.config.vocab_size)
    names = {tensor.name for tensor in GGUFReader(trained / "digits.gguf").tensors}
    assert "blk.3.attn_q.weight" in names
