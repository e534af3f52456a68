"""What the backends' tests share: a stub server per test, real llama.cpp servers for the whole run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import stub as stubs
from real_engines import THINKING

from pointsman.backends import (
    EMBEDDED,
    Endpoint,
    Engine,
    Event,
    Finished,
    ModelConfig,
    Supervisor,
    Text,
    Thought,
    ToolCallDelta,
    create,
    embedded_path,
)
from pointsman.domain import Call


@dataclass
class Reply:
    """What a call came to."""

    events: list[Event]
    done: Finished

    @property
    def thought(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Thought))

    @property
    def answer(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, Text))

    @property
    def tools(self) -> list[ToolCallDelta]:
        return [event for event in self.events if isinstance(event, ToolCallDelta)]


async def collect(engine: Engine, call: Call) -> Reply:
    """The whole of a call, which must end with exactly one Finished."""
    events = [event async for event in engine.stream(call)]
    assert isinstance(events[-1], Finished)
    assert not any(isinstance(event, Finished) for event in events[:-1])
    return Reply(events[:-1], events[-1])


@pytest.fixture(name="collect")
def _collect() -> Callable[..., object]:
    return collect


@pytest.fixture(name="stubs")
def _stubs() -> ModuleType:
    return stubs


@pytest.fixture(name="stub")
async def _stub() -> AsyncIterator[object]:
    server = stubs.Stub()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def engine_at() -> AsyncIterator[Callable[..., Engine]]:
    """Makes engines that are closed when the test is over."""
    made: list[Engine] = []

    def make(url: str, **settings: object) -> Engine:
        made.append(create("stub", ModelConfig.model_validate({"url": url, "engine": "openai", **settings})))
        return made[-1]

    yield make
    for engine in made:
        await engine.aclose()


@dataclass
class Launched:
    """Real llama.cpp servers: configurations and addresses by model name."""

    configs: dict[str, ModelConfig]
    endpoints: dict[str, Endpoint]


@pytest.fixture(scope="session")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """digits, and SmolLM2 as it is and made to think."""
    smollm2 = embedded_path("smollm2")
    if smollm2 is None:
        pytest.skip(EMBEDDED["smollm2"].missing)
    home = tmp_path_factory.mktemp("engines")
    template = home / "thinking.jinja"
    template.write_text(THINKING)
    configs = {
        "digits": ModelConfig(embedded="digits"),
        "smollm2": ModelConfig(embedded="smollm2", slots=2),
        "thinker": ModelConfig(
            path=smollm2, chat_template=template, context=1024, slots=2, system="You are a helpful assistant."
        ),
    }
    with Supervisor(home) as supervisor:
        yield Launched(configs, supervisor.start(configs))


@pytest.fixture
async def engine(launched: Launched) -> AsyncIterator[Callable[..., Engine]]:
    """Makes engines on the launched servers, by name; further arguments change their configuration."""
    made: list[Engine] = []

    def make(name: str, **changes: object) -> Engine:
        endpoint = launched.endpoints[name]
        config = launched.configs[name].model_copy(update=changes)
        made.append(create(name, config, url=endpoint.url, api_key=endpoint.api_key))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()


@pytest.fixture(scope="session")
def thinker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model for the in-process engine whose template opens the thought: it hardly ever ends one by itself."""
    from tiny_llamas import OPENS, random_model

    return random_model(tmp_path_factory.mktemp("thinker"), OPENS)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model for the in-process engine that does not think."""
    from tiny_llamas import PLAIN, random_model

    return random_model(tmp_path_factory.mktemp("plain"), PLAIN, marks=False)


@pytest.fixture
async def thinker_engine(thinker: Path) -> AsyncIterator[Engine]:
    """An engine on `thinker`."""
    from tiny_llamas import engine

    async with engine(thinker) as made:
        yield made
