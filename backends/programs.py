"""How the server of a model is started: its program and arguments, its address, when it is ready.

llama.cpp within this package, the owner's `llama-server` or `vllm`, or any command.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..domain import Json
from ..errors import LaunchError
from .advised import names_of
from .config import ModelConfig
from .cores import most_threads
from .dialects import dialect
from .embedded import EMBEDDED, embedded_folder, embedded_path
from .families import family_of
from .launch_config import KEY, PORT, LaunchConfig
from .llamacpp_server import KEY_VARIABLE
from .preflight import key_of
from .server_flags import wanting

DEFAULT_CONTEXT = 4096
"""Tokens that a query of a launched model may have where its settings do not say."""
EMBEDDED_READY_S = 60.0
"""Seconds that the llama.cpp server of this package may take to load."""
_EMBEDDED_STOP_S = 1.0


@dataclass(frozen=True, slots=True)
class Program:
    """A server to start. place: of its settings; command, env, url, ready: see LaunchConfig (ready is an
    address), with placeholders; port: None where one is chosen; key: the owner's own, "" for none, None where one is
    made for it; made: what tells whether its answers are those of other settings; kept: under a keeper, being foreign.
    """

    place: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    url: str
    ready: str
    ready_s: float
    stop_s: float
    made: Json = field(repr=False)
    port: int | None = None
    key: str | None = field(default=None, repr=False)
    kept: bool = True

    def at(self, port: int, key: str) -> Program:
        """With this port and key for its placeholders."""

        def filled(text: str) -> str:
            return text.replace(PORT, str(port)).replace(KEY, key)

        return replace(
            self,
            command=tuple(map(filled, self.command)),
            env={name: filled(value) for name, value in self.env.items()},
            url=filled(self.url),
            ready=filled(self.ready),
            port=port,
            key=key,
        )


def program_of(name: str, config: ModelConfig) -> Program:
    """The server of a model that we launch. Raises LaunchError naming the setting and what to do; ConfigError for a key
    that is not set."""
    launch = config.launch
    if launch is None:
        return _embedded(name, config)
    place = f"models.{name}.launch"
    if os.name == "nt":
        raise LaunchError(
            f"{place}: servers are started by Pointsman on Linux and macOS only: start it, and give `url`"
        )
    env = _environment(place, launch)
    if launch.preset == "llama-server":
        command, env = _llama_server(name, config, launch), {"LLAMA_API_KEY": KEY, **env}
    elif launch.preset == "vllm":
        command, env = _vllm(name, config, launch), {"VLLM_API_KEY": KEY, **env}
    else:
        command = launch.command
    spoken = dialect(config.dialect or config.engine)
    path = launch.ready or spoken.health
    return Program(
        place=place,
        command=(_found(place, launch, command[0], env), *command[1:]),
        env=env,
        url=launch.url,
        ready=f"{launch.root}{path}" if path else f"{launch.url}/models",
        ready_s=launch.ready_s,
        stop_s=launch.stop_s,
        made=made_of(name, config),
        port=launch.port,
        key=None if launch.keyed else key_of(name, config) or "",
    )


def made_of(name: str, config: ModelConfig) -> Json:
    """What tells whether a server of this model answers as one of these settings would: slots and threads do not.
    Raises LaunchError where a model of ours has no file."""
    if config.launch is None:
        template = config.chat_template and str(config.chat_template.absolute())
        return {
            "file": str(model_file(name, config).absolute()),
            "alias": config.model or name,
            "context": config.context or DEFAULT_CONTEXT,
            "template": template,
        }
    told = config.model_dump(mode="json", include={"embedded", "path", "model", "context", "chat_template"})
    how = config.launch.model_dump(mode="json", exclude={"ready", "ready_s", "stop_s"})
    text = json.dumps([name, told, how], sort_keys=True)
    return {"launch": hashlib.sha256(text.encode()).hexdigest()}  # a hash, since variables may be secrets


def model_file(name: str, config: ModelConfig) -> Path:
    """The GGUF file of a model that we launch. Raises LaunchError saying what to do where there is none."""
    if config.embedded is not None:
        found = embedded_path(config.embedded)
        if found is None:
            raise LaunchError(f"models.{name}: {EMBEDDED[config.embedded].missing}")
        return found
    path = config.path
    if path is None:
        raise LaunchError(f"models.{name}: has no file to launch")
    if not path.is_file():
        raise LaunchError(f"models.{name}: there is no model file {path}")
    return path


def _embedded(name: str, config: ModelConfig) -> Program:
    """The llama.cpp server of this package."""
    options = {
        "--model": model_file(name, config),
        "--alias": config.model or name,
        "--port": PORT,
        "--slots": config.slots,
        "--context": config.context or DEFAULT_CONTEXT,
        "--threads": _threads(config),
    }
    if config.chat_template is not None:
        options["--template"] = config.chat_template
    # -P: the working directory may hold files with the names of modules
    module = [sys.executable, "-P", "-m", "pointsman.backends.llamacpp_server"]
    root = f"http://127.0.0.1:{PORT}"
    return Program(
        place=f"models.{name}",
        command=(*module, *(str(part) for pair in options.items() for part in pair)),
        env={KEY_VARIABLE: KEY, "GGML_NO_BACKTRACE": "1"},
        url=f"{root}/v1",
        ready=f"{root}/health",
        ready_s=EMBEDDED_READY_S,
        stop_s=_EMBEDDED_STOP_S,
        made=made_of(name, config),
        kept=False,
    )


def _llama_server(name: str, config: ModelConfig, launch: LaunchConfig) -> tuple[str, ...]:
    """llama.cpp's own server as the one of this package is set up (ggml-org/llama.cpp tools/server/README.md). Its
    reasoning flags stay at their defaults, which read the template; budgets come with each query."""
    family = family_of(names_of(name, config))
    words = [launch.binary or "llama-server", "--model", str(model_file(name, config).absolute())]
    words += ["--alias", config.model or name, "--host", "127.0.0.1", "--port", PORT]
    words += ["--ctx-size", str((config.context or DEFAULT_CONTEXT) * config.slots), "--parallel", str(config.slots)]
    words += ["--threads", str(_threads(config)), *_wanted("llamacpp", family.name if family else None)]
    words += ["--metrics", "--no-webui"]
    words += ["--no-prefill-assistant"]  # a last assistant message is gone on with only where it is asked for
    if config.chat_template is not None:
        words += ["--chat-template-file", str(config.chat_template.absolute())]
    return (*words, *launch.arguments)


def _vllm(name: str, config: ModelConfig, launch: LaunchConfig) -> tuple[str, ...]:
    """`vllm serve` with the flags that the model's family needs there (server_flags.yaml)."""
    folder = embedded_folder(config.embedded) if config.embedded is not None else config.path
    words = [launch.binary or "vllm", "serve"]
    if folder is None:
        words += [config.model or ""]
    elif folder.exists():
        words += [str(folder.absolute()), "--served-model-name", config.model or name]
    else:
        raise LaunchError(f"models.{name}: there is no folder {folder}")
    words += ["--host", "127.0.0.1", "--port", PORT]
    if config.context is not None:
        words += ["--max-model-len", str(config.context)]
    if config.chat_template is not None:
        words += ["--chat-template", str(config.chat_template.absolute())]
    family = family_of(names_of(name, config))
    return (*words, *_wanted("vllm", family.name if family else None), *launch.arguments)


def _wanted(dialect_name: str, family: str | None) -> list[str]:
    """The flags that a server of a model of this family should have, as words."""
    return [word for flag in wanting(dialect_name, family, {}).flags for word in shlex.split(flag.words)]


def _threads(config: ModelConfig) -> int:
    return min(config.threads or most_threads(), most_threads())


def _environment(place: str, launch: LaunchConfig) -> dict[str, str]:
    """The variables that its configuration sets or wants. Raises LaunchError for one that is not there."""
    env: dict[str, str] = {}
    for name, value in launch.env.items():
        known = os.environ.get(name) if value is None else value
        if known is None:
            raise LaunchError(
                f"{place}.env: the variable {name} is not set where Pointsman runs: set it, or give a value"
            )
        env[name] = known
    return env


def _found(place: str, launch: LaunchConfig, program: str, env: Mapping[str, str]) -> str:
    """The program's file: by its path, on PATH, or beside our own interpreter. Raises LaunchError."""
    path = env.get("PATH", os.environ.get("PATH", os.defpath))
    found = shutil.which(program, path=path) or shutil.which(program, path=str(Path(sys.executable).parent))
    if found is None:
        what = "give its path as `binary`" if launch.preset is not None else "give its full path"
        where = "there" if Path(program).name != program else "on PATH"
        raise LaunchError(f"{place}: there is no program {program!r} {where}: install it, or {what}")
    return found
