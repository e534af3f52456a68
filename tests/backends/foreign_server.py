"""A server that is not ours, for tests: an OpenAI-shaped HTTP server as a script, with the faults that servers have.

    python foreign_server.py --port N [--ready-when FILE] [--grandchild FILE [--detached]] [--ignore-term] [--say TEXT]
                             [--exit CODE] [--broken FILE] [--key-variable NAME] [--record FILE]
                             [--unhealthy STATUS] [--prefix PATH]

With --broken it ends at once while FILE exists. GET /health: 503 until FILE exists (--ready-when). GET PATH/models: a
model, for whoever has the key. GET /die/CODE: ends at once. Unknown arguments are taken, so that it can stand for any
program.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# The grandchild ignores SIGTERM: only what is killed goes.
GRANDCHILD = (
    "import os, signal, sys; signal.signal(15, signal.SIG_IGN); open(sys.argv[1], 'w').write(str(os.getpid()))\n"
)
GRANDCHILD += "signal.pause()"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ready-when", type=Path)
    parser.add_argument("--grandchild", type=Path)
    parser.add_argument("--detached", action="store_true")
    parser.add_argument("--ignore-term", action="store_true")
    parser.add_argument("--say", default="")
    parser.add_argument("--exit", type=int)
    parser.add_argument("--broken", type=Path)
    parser.add_argument("--key-variable")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--unhealthy", type=int)
    parser.add_argument("--prefix", default="/v1")
    return parser.parse_known_args()[0]


def handler(given: argparse.Namespace, key: str | None) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/die/"):
                os._exit(int(self.path.rpartition("/")[2]))
            if self.path == "/health":
                waits = given.ready_when is not None and not given.ready_when.exists()
                return self.answer(given.unhealthy or (503 if waits else 200), {})
            if self.path != f"{given.prefix}/models":
                return self.answer(404, {})
            if key is not None and self.headers.get("Authorization") != f"Bearer {key}":
                return self.answer(401, {})
            return self.answer(200, {"object": "list", "data": [{"id": "foreign", "object": "model"}]})

        def answer(self, status: int, body: object) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def main() -> None:
    given = options()
    key = os.environ.get(given.key_variable) if given.key_variable else None
    if given.record is not None:
        variables = {name: os.environ[name] for name in os.environ if name.startswith(("POINTSMAN", "VLLM", "LLAMA"))}
        given.record.write_text(json.dumps({"arguments": sys.argv[1:], "variables": variables}))
    if given.say:
        print(given.say, flush=True)
    if given.exit is not None:
        sys.exit(given.exit)
    if given.broken is not None and given.broken.exists():
        sys.exit("CUDA out of memory")
    if given.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if given.grandchild is not None:
        subprocess.Popen([sys.executable, "-c", GRANDCHILD, str(given.grandchild)], start_new_session=given.detached)
    print("listens", flush=True)
    ThreadingHTTPServer(("127.0.0.1", given.port), handler(given, key)).serve_forever()


if __name__ == "__main__":
    main()
