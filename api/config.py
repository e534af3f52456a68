"""The HTTP server's own section of the configuration: `server:` in YAML, then environment, then the command line."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ..domain import Json
from ..errors import ConfigError
from ..router.origins import Origins

ENV_PREFIX = "POINTSMAN_"
SECTION = "server"


class ServerConfig(BaseSettings):
    """Where the proxy listens and what it lets in. Each setting is `POINTSMAN_<NAME>` too (`POINTSMAN_PORT`)."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid")

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8484, ge=0, le=65535, description="port to listen on; 0: any free one")
    max_body_bytes: int = Field(16 * 1024 * 1024, ge=1024, le=1 << 30, description="the largest request body taken")
    reasoning_field: Literal["reasoning_content", "reasoning", "both"] = Field(
        "reasoning_content", description="the name under which thought is sent: what the clients in use read"
    )
    keep_alive_s: float = Field(
        10.0,
        ge=0,
        le=3600,
        description="seconds after which a stream whose route does not stand yet is opened, and between the comments "
        "that keep it alive; 0: never before the route stands",
    )
    stream_thoughts: bool = Field(
        False,
        description="stream thoughts as they come: no evidence is bought for a stream and nothing follows its answer; "
        "a request's own stream_thoughts goes before it",
    )
    allow_remote: bool = Field(False, description="listen beyond this machine although there are no keys")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="what goes to standard error")
    shutdown_grace_s: int = Field(10, ge=0, le=3600, description="seconds that running requests have at shutdown")

    @field_validator("log_level", mode="before")
    @classmethod
    def _small(cls, level: Any) -> Any:
        return level.lower() if isinstance(level, str) else level

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_server` has merged, so that it knows where each value came from."""
        return (init_settings,)


def load_server(
    section: Mapping[str, Any],
    origins: Origins | None = None,
    overrides: Json | None = None,
    environ: Mapping[str, str] = os.environ,
) -> tuple[ServerConfig, Origins]:
    """The server's settings and where each came from, by `("server", name)`. Later wins: section, environment,
    overrides (the command line's).

    section, origins: `Settings.server` and the origins that the router's `load` gave with it. Raises ConfigError, also
    for an address beyond this machine without `allow_remote`."""
    values, whence = dict(section), dict(origins or {})
    for name in ServerConfig.model_fields:
        variable = f"{ENV_PREFIX}{name.upper()}"
        if variable in environ:
            values[name], whence[SECTION, name] = environ[variable], variable
    for name, value in (overrides or {}).items():
        values[name], whence[SECTION, name] = value, "command line"
    try:
        config = ServerConfig(**values)
    except ValidationError as error:
        raise _config_error(error, whence) from None
    _check_reach(config, whence)
    return config, {at: where for at, where in whence.items() if at[0] == SECTION}


def _config_error(error: ValidationError, origins: Origins) -> ConfigError:
    first = error.errors()[0]
    field = (SECTION, *(str(part) for part in first["loc"]))
    problem = f"{first['msg']} (it is {first['input']!r})"
    if first["type"] == "extra_forbidden":
        problem = f"there is no such setting; allowed here: {', '.join(sorted(ServerConfig.model_fields))}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return ConfigError(problem + more, field=".".join(field), where=origins.get(field[:2]) or origins.get(field[:1]))


def _check_reach(config: ServerConfig, origins: Origins) -> None:
    """Whoever reaches the port may spend the owner's tokens, so without keys it stays on this machine."""
    if config.allow_remote or is_loopback(config.host):
        return
    raise ConfigError(
        f"{config.host} can be reached from other machines, and there are no keys: listen on 127.0.0.1, or set "
        f"server.allow_remote: true (environment: {ENV_PREFIX}ALLOW_REMOTE=true)",
        field=f"{SECTION}.host",
        where=origins.get((SECTION, "host")),
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; names other than localhost count as reachable."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
