"""The section `models.NAME.launch`: a server of the owner's that we start, keep and stop."""

from __future__ import annotations

import re
from typing import Any, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

PORT, KEY = "{port}", "{key}"
"""What stands in a command, a url or a variable's value for what is only known when the server starts."""
_PLACEHOLDER = re.compile(r"(?<!\{)\{[a-z_]+\}(?!\})")


class LaunchConfig(BaseModel):
    """How a server is started. Either a preset, or a command."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Literal["llama-server", "vllm"] | None = Field(
        default=None,
        description="llama-server: llama.cpp's own program; vllm: `vllm serve`. Pointsman makes their command line; "
        "`launch: vllm` is short for it",
    )
    binary: str | None = Field(
        default=None, description="the preset's program, where it is not on PATH under its own name"
    )
    arguments: tuple[str, ...] = Field(default=(), description="further arguments of a preset, after its own")
    command: tuple[str, ...] = Field(
        default=(),
        description="program and arguments of any other server. `{port}`: a free port of this machine; `{key}`: a key "
        "made for it",
    )
    url: str = Field(
        default="http://127.0.0.1:{port}/v1",
        description="the OpenAI address that it will have; with a number for `{port}`, that port is used",
    )
    ready: str | None = Field(
        default=None,
        description="path at which it answers a GET with 200 once it can be used; left out: the dialect's own, else "
        "the url's list of models",
    )
    ready_s: float = Field(default=600, gt=0, le=86_400, description="how long it may take to be ready, seconds")
    stop_s: float = Field(
        default=10, ge=0, le=600, description="how long it may take to end when it is told to, before it is killed, s"
    )
    env: dict[str, str | None] = Field(
        default_factory=dict[str, "str | None"],
        description="variables of its environment, which is ours but for what begins with POINTSMAN_: values, with "
        "`{port}` and `{key}`; or no value, for one that must be set where Pointsman runs",
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, values: Any) -> Any:
        """A preset's name alone, and what YAML makes of it, as a mapping."""
        return {"preset": values} if isinstance(values, str) else values

    @field_validator("command", "arguments", mode="before")
    @classmethod
    def _words(cls, values: Any) -> Any:
        """YAML reads `8000` as a number."""
        if isinstance(values, str):
            raise ValueError("give a list, one argument each: [vllm, serve, …]; no shell reads it")
        if not isinstance(values, list | tuple):
            return values
        listed = cast("list[object]", values)
        return [str(one) if isinstance(one, int | float) and not isinstance(one, bool) else one for one in listed]

    @field_validator("env", mode="before")
    @classmethod
    def _values(cls, values: Any) -> Any:
        """A list of names alone, and numbers as text."""
        if isinstance(values, list):
            return dict.fromkeys(cast("list[Any]", values))
        if not isinstance(values, dict):
            return values
        given = cast("dict[Any, Any]", values)
        return {
            name: str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
            for name, value in given.items()
        }

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url.replace(PORT, "1"))
        try:
            port = parts.port
        except ValueError:
            port = None
        if parts.scheme not in ("http", "https") or not parts.hostname or not port:
            raise ValueError(f"{url!r} is no http or https address with a port: write it as http://127.0.0.1:{PORT}/v1")
        return url.rstrip("/")

    @field_validator("ready")
    @classmethod
    def _path(cls, path: str | None) -> str | None:
        if path is not None and not path.startswith("/"):
            raise ValueError(f"{path!r} is no path of the server's: it begins with /, as /health does")
        return path

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.preset is None) == (not self.command):
            raise ValueError("give either a preset (llama-server, vllm) or a command")
        for name in ("binary", "arguments") if self.preset is None else ():
            if getattr(self, name):
                raise ValueError(f"{name} is for a preset: write it into the command")
        return self

    @model_validator(mode="after")
    def _placed(self) -> Self:
        """Refuse placeholders that nothing stands for, and a port that the server is never told."""
        told = (*self.command, *self.arguments, *(value for value in self.env.values() if value))
        for text in (*told, self.url):
            for word in _PLACEHOLDER.findall(text):
                if word not in (PORT, KEY) or (text is self.url and word == KEY):
                    raise ValueError(
                        f"nothing stands for {word} in {text!r}; there is {PORT}, and for the server {KEY}"
                    )
        if self.command and PORT in self.url and not any(PORT in text for text in told):
            raise ValueError(
                f"the server is not told its port: write {PORT} into the command, or its number into the url"
            )
        return self

    @property
    def port(self) -> int | None:
        """The port of its url; None where we choose one."""
        return None if PORT in self.url else urlsplit(self.url).port

    @property
    def root(self) -> str:
        """Its url without the path."""
        return "/".join(self.url.split("/")[:3])

    @property
    def keyed(self) -> bool:
        """Whether it is given a key that we make."""
        return self.preset is not None or any(KEY in text for text in (*self.command, *self.env.values()) if text)
