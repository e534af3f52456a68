"""A Router in Python on a server of the owner's that it starts."""

from __future__ import annotations

import contextlib
import shlex
import sys
from pathlib import Path

import psutil
import yaml

from pointsman import Router
from pointsman.backends import embedded_path


def test_a_router_starts_a_command_asks_it_and_ends_it(tmp_path: Path) -> None:
    """llama.cpp's server behind a shell's pipe: three processes in all, of which none is left."""
    module = [sys.executable, "-P", "-m", "pointsman.backends.llamacpp_server", "--model", str(embedded_path("digits"))]
    served = f"tail -f /dev/null | {shlex.join(module)} --alias digits --context 1024 --port {{port}}"
    launch = {"command": ["sh", "-c", served], "env": {"POINTSMAN_ENGINE_KEY": "{key}"}}
    own = {"launch": launch, "dialect": "llamacpp", "model": "digits", "parameters": 0.0009}
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump({"models": {"own": own}, "routes": {"full": {"model": "own", "mode": "think"}}}))
    before = {one.pid for one in psutil.Process().children(recursive=True)}  # other tests' servers
    with Router.from_config(file, home=tmp_path / "home") as router:
        answer = router.ask("3+4*2-7")
        assert (answer.text.strip(), answer.decision.route.name) == ("7", "full")
        assert answer.thought
        ours = [one for one in psutil.Process().children(recursive=True) if one.pid not in before]
        assert {"sh", "tail"} < {name(one) for one in ours}
        assert any("python" in name(one) for one in ours)
    gone, left = psutil.wait_procs(ours, timeout=0)
    assert (len(gone), left) == (len(ours), [])


def name(process: psutil.Process) -> str:
    """A process's program; "" where it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return process.name()
    return ""
