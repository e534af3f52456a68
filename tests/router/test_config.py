"""The configuration: sources, their order, where each value came from, and clear complaints."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointsman.domain import Objective, ObjectiveKind
from pointsman.errors import ConfigError
from pointsman.router.config import DEFAULT_CONFIG, load

OWN = """\
models:
  qwen:
    url: http://localhost:8000/v1
    model: Qwen/Qwen3-8B
routes:
  small: {model: qwen, mode: direct}
  full:
    model: qwen
    mode: think
safe_route: full
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.yaml"
    file.write_text(OWN)
    return file


@pytest.mark.parametrize(
    ("written", "environ", "enabled"),
    [
        ("", {}, False),
        ("escalate: true\n", {}, True),
        ("escalate: {cut_thoughts: true}\n", {}, True),
        ("escalate: {cut_thoughts: true}\n", {"POINTSMAN_ESCALATE": "false"}, False),
        ("escalate: false\n", {"POINTSMAN_ESCALATE__ENABLED": "true"}, True),
        ("", {"POINTSMAN_ESCALATE": "true"}, True),
    ],
)
def test_a_plain_yes_or_no_is_short_for_escalation(
    own: Path, written: str, environ: dict[str, str], enabled: bool
) -> None:
    """And leaves what else is said of it."""
    own.write_text(OWN + written)
    settings, origins = load(own, environ=environ)
    assert settings.escalate.enabled is enabled
    assert settings.escalate.cut_thoughts == ("cut_thoughts" in written)
    assert not settings.escalate.hand_over
    if environ:
        assert origins["escalate", "enabled"] == next(iter(environ))
    elif written.startswith("escalate: true"):
        assert origins["escalate", "enabled"] == f"{own}:11"


@pytest.mark.parametrize(
    ("written", "complaint"),
    [("maybe", "escalate.enabled"), ("{sometimes: true}", "enabled, hand_over"), ("[1]", "escalate")],
)
def test_a_wrong_escalation_is_named(own: Path, written: str, complaint: str) -> None:
    own.write_text(f"{OWN}escalate: {written}\n")
    with pytest.raises(ConfigError, match=complaint):
        load(own, environ={})


def test_the_shipped_configuration_has_four_routes() -> None:
    settings, origins = load(None, environ={})
    assert list(settings.routes) == ["small", "budgeted", "full", "chat"]
    assert settings.safe_route == "chat"
    assert origins["safe_route",].startswith("default.yaml:")


def test_a_file_replaces_the_shipped_configuration(own: Path) -> None:
    settings, origins = load(own, environ={})
    assert list(settings.models) == ["qwen"]
    assert origins["routes", "full", "mode"] == f"{own}:9"


def test_the_environment_beats_the_file_and_the_command_line_beats_both(own: Path) -> None:
    environ = {
        "POINTSMAN_SAFE_ROUTE": "small",
        "POINTSMAN_OBJECTIVE__QUALITY": "0.9",
        "POINTSMAN_STORE": "sqlite:///x.db",
    }
    settings, origins = load(own, {"safe_route": "full"}, environ=environ)
    assert settings.safe_route == "full"
    assert settings.objective.objective() == Objective(ObjectiveKind.QUALITY, 0.9)
    assert settings.store.url == "sqlite:///x.db"
    assert origins["safe_route",] == "command line"
    assert origins["objective", "quality"] == "POINTSMAN_OBJECTIVE__QUALITY"


def test_the_environment_names_the_file(own: Path) -> None:
    settings, _ = load(environ={"POINTSMAN_CONFIG": str(own)})
    assert list(settings.models) == ["qwen"]


def test_home_follows_the_xdg_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert load(environ={})[0].home == tmp_path / "pointsman"


@pytest.mark.parametrize(
    ("change", "line", "field", "says"),
    [
        (("safe_route: full", "safe_route: nobody"), 10, "safe_route", "no route 'nobody'"),
        (("safe_route: full", "safe_rout: full"), 10, "safe_rout", "safe_route"),
        (("model: qwen, mode: direct", "model: gwen, mode: direct"), 6, "routes.small.model", "models: qwen"),
        (("mode: think", "thinking_budget: -4"), 9, "routes.full.thinking_budget", "greater than or equal to 0"),
        (
            ("routes:", "modes:\n  haiku: {about: A., source: me, think: true, system: 'of {n} lines'}\nroutes:"),
            6,
            "haiku.system",
            "no `parameter:`",
        ),
        (("mode: think", "budget: 4"), 9, "routes.full.budget", "thinking_budget"),
        (("url: http://localhost:8000/v1", "url: localhost"), 3, "models.qwen.url", "no http"),
        (("safe_route: full", "policy: observe"), 10, "policy", "needs observe_route"),
        (("safe_route: full", "objective: {quality: 2}"), 10, "objective.quality", "less than or equal to 1"),
        (("safe_route: full", "objective: {quality: 0.9, max_cost: 1}"), 10, "objective", "exactly one"),
        (("  full:\n", "  auto:\n"), 7, "routes.auto", "lets Pointsman choose"),
        (("  small:", "  qwen:"), None, None, None),
    ],
)
def test_a_mistake_is_named_with_file_line_and_field(
    own: Path, change: tuple[str, str], line: int | None, field: str | None, says: str | None
) -> None:
    own.write_text(OWN.replace(*change))
    if line is None:  # a route may have its own model's name
        assert "qwen" in load(own, environ={})[0].routes
        return
    with pytest.raises(ConfigError, match=says) as caught:
        load(own, environ={})
    assert (caught.value.where, caught.value.field) == (f"{own}:{line}", field)


def test_a_route_named_as_another_model_is_refused(own: Path) -> None:
    own.write_text(OWN.replace("routes:", "  other: {url: 'http://h/v1'}\nroutes:").replace("  small:", "  other:"))
    with pytest.raises(ConfigError, match="must mean one thing"):
        load(own, environ={})


def test_a_bad_variable_is_named(own: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(own, environ={"POINTSMAN_OBJECTIVE__QUALITY": "much"})
    assert caught.value.where == "POINTSMAN_OBJECTIVE__QUALITY"


def test_the_default_file_is_part_of_the_package() -> None:
    assert DEFAULT_CONFIG.is_file()


@pytest.mark.parametrize(
    ("row", "line", "field", "says"),
    [
        ("match: m\n    thinks: true\n    switch: none\n    source: me\n    opens: nobody", 17, "mine.opens", "one of"),
        ("match: m\n    thinks: true\n    switch: none", 12, "mine.source", "is missing"),
        ("match: m\n    thinks: true\n    switch: none\n    source: me", None, None, None),
    ],
)
def test_a_family_is_configuration_and_a_mistake_in_it_is_named(
    own: Path, row: str, line: int | None, field: str | None, says: str | None
) -> None:
    own.write_text(OWN + f"families:\n  mine:\n    {row}\n")
    if line is None:
        assert load(own, environ={})[0].families["mine"]["source"] == "me"
        return
    with pytest.raises(ConfigError, match=says) as caught:
        load(own, environ={})
    assert (caught.value.where, caught.value.field) == (f"{own}:{line}", field)
