"""One llama.cpp server as a child process: `python -m pointsman.backends.llamacpp_server --model FILE …`.

The parent holds the other end of this process's standard input and never writes: when it closes, by `stop()` or
because the parent is gone, even by SIGKILL, this process ends. The key comes in the environment, not in the arguments,
which anyone on the machine can read.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

KEY_VARIABLE = "POINTSMAN_ENGINE_KEY"
_PARENT_CHECK_S = 0.5


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until the parent is gone."""
    options = _options(argv)
    parent = os.getppid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    started = time.monotonic()
    server = _server(options, os.environ.pop(KEY_VARIABLE, ""))
    print(f"ready at {server.listening_address} after {time.monotonic() - started:.2f} s", flush=True)  # noqa: T201 goes to the log
    while os.name == "nt" or os.getppid() == parent:
        # a process that inherited the pipe's other end (a forked worker) would keep it open: see to the parent itself
        time.sleep(_PARENT_CHECK_S)
    os._exit(0)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pointsman.backends.llamacpp_server", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="GGUF file")
    parser.add_argument("--alias", required=True, help="name that requests use")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--context", type=int, default=4096, help="tokens of one query")
    parser.add_argument("--slots", type=int, default=4, help="queries at once")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--template", type=Path, help="Jinja chat template in place of the model's")
    return parser.parse_args(argv)


def _server(options: argparse.Namespace, key: str) -> Any:
    """The running server (xllamacpp.Server). It listens when the constructor is back."""
    xllamacpp: Any = importlib.import_module("xllamacpp")  # untyped
    params = xllamacpp.CommonParams()
    params.model.path = str(options.model)
    params.model_alias = {options.alias}
    params.hostnames, params.port = [options.host], options.port
    params.n_parallel, params.n_ctx = options.slots, options.context * options.slots
    # as many threads as cores collapse as soon as anything else runs
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options.threads
    params.endpoint_metrics, params.ui = True, False
    params.prefill_assistant = False  # a last assistant message is gone on with only where it is asked for
    params.api_keys, params.cors_origins = [key] if key else [], ""
    params.verbosity = 1  # errors: a warning comes with every query that was cached whole
    # fitting the layers to the devices' memory reads the model twice, for nothing where there is only the CPU
    params.fit_params = any("GPU" in str(device.get("type")) for device in xllamacpp.get_device_info())
    if options.template is not None:
        params.chat_template = options.template.read_text("utf-8")
    return xllamacpp.Server(params)


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
