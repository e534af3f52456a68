"""The configuration: sections owned by the rooms, composed here. YAML, then environment, then the command line.

Every setting is `POINTSMAN_<NAME>` too, with `__` between levels (`POINTSMAN_STORE=sqlite:///x.db`,
`POINTSMAN_OBJECTIVE__QUALITY=0.95`). The section `server:` belongs to the way in over HTTP and is read there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from ..backends import EnginesConfig, ModelConfig, load_families, load_modes
from ..domain import Json, Objective, ObjectiveKind, Tier
from ..errors import ConfigError
from ..store import StoreConfig
from .modes import LOOPS
from .origins import Origins, leaves, overlay, replace_origin
from .yaml_file import read_yaml

ENV_PREFIX = "POINTSMAN_"
ProbeName: TypeAlias = Literal["p_right", "stated_confidence", "again"]
"""The probes of probes.py, which is not loaded to read a configuration."""
DEFAULT_CONFIG = Path(__file__).with_name("default.yaml")
_SHORT = {"store": "url", "escalate": "enabled"}
"""Sections for which a plain value may stand, and the setting that it is then."""


class PriceConfig(BaseModel):
    """What a million tokens of a route cost, in the owner's one currency."""

    model_config = ConfigDict(extra="forbid")

    input: float = Field(ge=0, allow_inf_nan=False, description="per million input tokens")
    cached_input: float = Field(0.0, ge=0, allow_inf_nan=False, description="per million input tokens that were cached")
    output: float = Field(ge=0, allow_inf_nan=False, description="per million output tokens, thought included")


class RouteConfig(BaseModel):
    """One way to answer."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(description="a name under `models:`")
    mode: str = Field("think", description="how the model reasons: docs/modes.md")
    thinking_budget: int | None = Field(
        None, ge=0, le=1_000_000, description="the most tokens of thought; 0: off; absent: the model's own length"
    )
    tier: Tier | None = Field(None, description="small, budgeted or full: what `auto:small` and so on ask for")
    insist: bool = Field(
        False, description="offer it as `budgeted` though `pointsman check` found that its budget is not kept"
    )
    price: PriceConfig | None = Field(None, description="absent on all routes: the model's size stands for it")


class ObjectiveConfig(BaseModel):
    """What the owner wants: exactly one of the three."""

    model_config = ConfigDict(extra="forbid")

    quality: float | None = Field(None, gt=0, le=1, description="share of the best fixed route's correctness to keep")
    willingness_to_pay: float | None = Field(None, ge=0, allow_inf_nan=False, description="currency a correct answer")
    max_cost: float | None = Field(None, ge=0, allow_inf_nan=False, description="expected currency a query, at most")

    @model_validator(mode="after")
    def _one(self) -> ObjectiveConfig:
        if len(self.model_fields_set) != 1:
            raise ValueError("give exactly one of quality, willingness_to_pay, max_cost")
        return self

    def objective(self) -> Objective:
        """The objective as a value."""
        for kind in ObjectiveKind:
            if (value := getattr(self, kind.value)) is not None:
                return Objective(kind, float(value))
        raise AssertionError("unreachable: one of the three is set")


class EvidenceConfig(BaseModel):
    """What an answer that is bought before committing may cost."""

    model_config = ConfigDict(extra="forbid")

    max_tokens: int = Field(
        1024,
        ge=1,
        description="tokens, thought included, after which it is cut; where the engine can go on, a ladder cuts "
        "earlier what grows longer than all answers that it was taught by, and what is chosen goes on",
    )
    deadline_ms: float = Field(30_000, gt=0, description="time limit; a call that takes longer has failed")
    ask: list[ProbeName] = Field(
        default_factory=list[ProbeName],
        description="what else is bought about it: `p_right`, the probability that the model gives to its being right "
        "(one token); `stated_confidence`, in words; `again`, a second answer, to see whether it says the same",
    )


class EscalateConfig(BaseModel):
    """When an answer is not given, and what the dearer route that is asked instead is told."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = Field(True, description="withhold an answer until it is whole; go on to a dearer route if not")
    cut_thoughts: bool = Field(
        False, description="go on also where the thought was cut at its route's budget, though an answer followed"
    )
    hand_over: bool = Field(
        False,
        description="tell a dearer route of another model what the one before it said; what that does to its answers "
        "was not measured",
    )


class Settings(BaseSettings):
    """The effective configuration of a router."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid")

    home: Path = Field(default_factory=lambda: default_home(), description="folder of store, artifacts, logs")
    models: dict[str, ModelConfig] = Field(default_factory=dict[str, ModelConfig], description="models, by name")
    routes: dict[str, RouteConfig] = Field(default_factory=dict[str, RouteConfig], description="routes, by name")
    safe_route: str | None = Field(None, description="who answers when nothing is known; absent: the dearest route")
    policy: Literal["route", "observe"] = Field("route", description="observe: one fixed route answers, auto is noted")
    observe_route: str | None = Field(None, description="the route that answers under `policy: observe`")
    objective: ObjectiveConfig = Field(
        default_factory=lambda: ObjectiveConfig.model_validate({"quality": 0.98}), description="what is wanted"
    )
    escalate: EscalateConfig = Field(
        default_factory=lambda: EscalateConfig.model_validate({"enabled": False}),
        description="going on to a dearer route; `true` or `false` is short for `enabled`",
    )
    deadline_ms: float | None = Field(None, gt=0, description="time limit of one call to a model")
    evidence: EvidenceConfig = Field(
        default_factory=lambda: EvidenceConfig(max_tokens=1024, deadline_ms=30_000),
        description="limits of answers bought before committing",
    )
    embedder: Literal["static", "onnx", "sentence-transformers"] = Field("static", description="the text encoder")
    embedder_path: Path | None = Field(None, description="folder of the encoder, where it is not the shipped one")
    engines: EnginesConfig = Field(default_factory=EnginesConfig, description="limits that hold for every engine")
    modes: dict[str, Any] = Field(default_factory=dict[str, Any], description="further modes, by name: docs/modes.md")
    families: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="further model families, by name, before the shipped ones: docs/families.md",
    )
    store: StoreConfig = Field(default_factory=StoreConfig, description="the store, or just its SQLAlchemy URL")
    server: dict[str, Any] = Field(default_factory=dict[str, Any], description="the HTTP server's own section")

    @field_validator(*_SHORT, mode="before")
    @classmethod
    def _sections(cls, value: Any, info: ValidationInfo) -> Any:
        return _section(str(info.field_name), value)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load` has merged: it reads the sources one by one, to know where each value came from."""
        return (init_settings,)


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """The XDG data folder of Pointsman (XDG Base Directory Specification)."""
    base = environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "pointsman"


def load(
    path: Path | None = None, overrides: Json | None = None, environ: Mapping[str, str] = os.environ
) -> tuple[Settings, Origins]:
    """The effective configuration and where each value came from. Later wins: defaults, file, environment, overrides.

    path: a YAML file; None: `POINTSMAN_CONFIG`, else the shipped default. Raises ConfigError with file, line, field."""
    if path is None and (named := environ.get(f"{ENV_PREFIX}CONFIG")):
        path = Path(named)
    read, lines = read_yaml(path or DEFAULT_CONFIG)
    values = _spelled_out(read)
    origins: Origins = {field: f"{path or 'default.yaml'}:{line}" for field, line in lines.items()}
    for section, setting in _SHORT.items():
        if section in read and not isinstance(read[section], dict):
            origins[section, setting] = origins[section,]
    for name, given in (("environment", _environment(environ)), ("command line", overrides or {})):
        layer = _spelled_out(given)
        if "objective" in layer:  # one of three: another kind replaces it
            values.pop("objective", None)
            replace_origin(origins, ("objective",), name)
        overlay(values, layer)
        for field in leaves(layer):
            replace_origin(origins, field, _variable(field, environ) if name == "environment" else name)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise _config_error(error, origins, path) from None
    _check(settings, origins)
    return settings, origins


class _Variables(EnvSettingsSource):
    """Sections are given as JSON, or as a text that the section understands: `POINTSMAN_STORE` is a URL."""

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        """The value of the JSON; the text itself where it is none, for validation to judge."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


def _environment(environ: Mapping[str, str]) -> Json:
    """The settings among the environment's variables, nested."""
    names = {name for name in environ if name.startswith(ENV_PREFIX)}
    source = _Variables(Settings, env_prefix=ENV_PREFIX, env_nested_delimiter="__")
    source.env_vars = {name.lower(): environ[name] for name in names}
    try:
        return source()
    except Exception as error:
        raise ConfigError(f"an environment variable cannot be read: {error}", where="environment") from error


def _spelled_out(layer: Json) -> Json:
    """The layer with plain values that stand for a section as one: they must not undo the section's rest."""
    return {**layer, **{name: _section(name, layer[name]) for name in _SHORT if name in layer}}


def _section(name: str, value: Any) -> Any:
    """The section that a plain value stands for (`store`'s is a text, `escalate`'s yes or no); else the value."""
    return {_SHORT[name]: value} if isinstance(value, (str, bool)) else value


def _variable(field: tuple[str, ...], environ: Mapping[str, str]) -> str:
    """The variable that a setting came from: its own, or that of a section given as JSON."""
    names = [ENV_PREFIX + "__".join(field[:n]).upper() for n in range(len(field), 0, -1)]
    return next((name for name in names if name in environ), names[0])


def _config_error(error: ValidationError, origins: Origins, path: Path | None) -> ConfigError:
    """Pydantic's first complaint as ours: where, which field, what is allowed."""
    first = error.errors()[0]
    field = tuple(str(part) for part in first["loc"])
    where = next(
        (origins[field[:n]] for n in range(len(field), 0, -1) if field[:n] in origins), str(path or "defaults")
    )
    problem = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        problem = f"there is no such setting; allowed here: {', '.join(_siblings(field))}"
    elif not isinstance(first["input"], dict):
        problem = f"{problem} (it is {first['input']!r})"
    more = f" (and {len(error.errors()) - 1} more)" if len(error.errors()) > 1 else ""
    return ConfigError(problem + more, field=".".join(field), where=where)


def _origin(field: tuple[str, ...], origins: Origins) -> str | None:
    """Where a value, or the nearest section above it, came from."""
    return next((origins[field[:n]] for n in range(len(field), 0, -1) if field[:n] in origins), None)


def _siblings(field: tuple[str, ...]) -> list[str]:
    """The settings that exist where this one does not."""
    at: type[BaseModel] = Settings
    sections: dict[str, type[BaseModel]] = {"models": ModelConfig, "routes": RouteConfig}
    if len(field) == 3 and field[0] in sections:
        at = sections[field[0]]
    elif len(field) > 1 and isinstance(section := Settings.model_fields[field[0]].annotation, type):
        at = section if issubclass(section, BaseModel) else Settings
    return sorted(at.model_fields)


def _check_rows(settings: Settings, origins: Origins) -> None:
    """The owner's families and modes. Raises ConfigError."""

    def within(section: str) -> Callable[[str, str | None], str]:
        return lambda row, field: _origin((section, row, *((field,) if field else ())), origins) or section

    load_families(settings.families, within("families"))
    load_modes(settings.modes, within("modes"))
    for name in LOOPS.keys() & settings.modes.keys():
        where = _origin(("modes", name), origins)
        raise ConfigError("is a mode that loops: give yours another name", field=f"modes.{name}", where=where)


def _check(settings: Settings, origins: Origins) -> None:
    """What spans sections. Raises ConfigError."""

    def wrong(problem: str, *field: str) -> ConfigError:
        return ConfigError(problem, field=".".join(field), where=_origin(field, origins))

    _check_rows(settings, origins)
    known = ", ".join(sorted(settings.models)) or "none"
    for name, route in settings.routes.items():
        if route.model not in settings.models:
            raise wrong(f"there is no model {route.model!r}; models: {known}", "routes", name, "model")
        if name.startswith("auto") and (name == "auto" or name.startswith("auto:")):
            raise wrong("a route cannot be named auto: that name lets Pointsman choose", "routes", name)
        if name in settings.models and route.model != name:
            raise wrong(f"{name!r} is also a model: a name must mean one thing", "routes", name)
    routes = ", ".join(sorted(settings.routes)) or "none"
    for field in ("safe_route", "observe_route"):
        named: str | None = getattr(settings, field)
        if named is not None and named not in settings.routes:
            raise wrong(f"there is no route {named!r}; routes: {routes}", field)
    if settings.policy == "observe" and settings.observe_route is None:
        raise wrong(f"`policy: observe` needs observe_route, one of: {routes}", "policy")
