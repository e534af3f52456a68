"""The committed model digits in its two forms, each loaded for real: transformers, and a llama.cpp server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

FOLDER = Path(__file__).parents[2] / "backends" / "models" / "digits"

# The server runs in its process's own threads; reading the pipe that the parent holds ends the child with it.
SERVER = """
import os, sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.port = 0
params.n_parallel, params.n_ctx = 2, 4096
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.ui = False
params.prefill_assistant = False
server = xllamacpp.Server(params)
print("LISTENING", server.listening_address, flush=True)
os.read(0, 1)
os._exit(0)
"""


class Server:
    """A llama.cpp server's address, and the requests that the tests make."""

    def __init__(self, url: str) -> None:
        # Kept-alive connections fail now and then after a stream.
        self.client = httpx.Client(base_url=url, timeout=60, limits=httpx.Limits(max_keepalive_connections=0))

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """The reply to a JSON request; an error fails the test."""
        reply = self.client.post(path, json=body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def tokens(self, text: str, *, special: bool) -> list[int]:
        """Ids of a text, its control tokens read as such or as mere characters."""
        return self.post("/tokenize", content=text, add_special=True, parse_special=special)["tokens"]

    def chat(self, prompt: str, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """(choice, usage) of a greedy answer to one user message."""
        body = {"temperature": 0, "max_tokens": 160, "messages": [{"role": "user", "content": prompt}], **options}
        reply = self.post("/v1/chat/completions", **body)
        return reply["choices"][0], reply["usage"]


@pytest.fixture(scope="session")
def folder() -> Path:
    """Where the committed model lies."""
    return FOLDER


@pytest.fixture(scope="session")
def report() -> dict[str, Any]:
    """The committed training report."""
    return json.loads((FOLDER / "report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real llama.cpp server with the committed GGUF file."""
    log = tmp_path_factory.mktemp("llama") / "log"
    with log.open("w") as errors:
        child = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(FOLDER / "digits.gguf")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        address = next((line.split()[1] for line in child.stdout if line.startswith("LISTENING")), None)
        assert address, log.read_text()
        running = Server(address)
        yield running
        running.client.close()
    finally:
        child.stdin.close()
        child.wait(10)
        child.stdout.close()


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """The committed tokenizer, as transformers loads it."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="session")
def model() -> Any:
    """The committed weights in float32."""
    import torch
    from transformers import LlamaForCausalLM

    torch.set_num_threads(1)
    return LlamaForCausalLM.from_pretrained(FOLDER, dtype=torch.float32).eval()
