"""An engine that plays what a test writes: events, or an error in their place. It is a whole Engine, not a mock."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from pointsman.backends import Engine, Event, Finished, Health, ModelInfo, Text, Thought, Timings
from pointsman.domain import Call, Capabilities, Enforcement, Finish, Json, Usage
from pointsman.errors import BackendError


def finished(finish: Finish = Finish.STOP, **usage: int) -> Finished:
    """The last event of a call, answered natively."""
    return Finished(finish, Usage(**usage), Timings(5.0, 1.0), Enforcement.NATIVE, "served-name")


def says(text: str, *, thought: str = "", finish: Finish = Finish.STOP) -> list[Event]:
    """The events of an ordinary answer, a token a character."""
    events: list[Event] = [Thought(piece, 1) for piece in thought]
    events += [Text(piece, 1) for piece in text]
    return [*events, finished(finish, prompt=10, thought=len(thought), answer=len(text))]


class ScriptedEngine(Engine):
    """Plays one script a call, the last one again and again. `calls` are those it got, `closed` those left early."""

    def __init__(self, name: str, *scripts: Sequence[Event | BackendError]) -> None:
        self._name, self.scripts = name, list(scripts)
        self.calls: list[Call] = []
        self.closed = 0

    @property
    def name(self) -> str:
        return self._name

    async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        self.calls.append(call)
        script = self.scripts[min(len(self.calls), len(self.scripts)) - 1]
        try:
            for event in script:
                if isinstance(event, BackendError):
                    raise event
                yield event
        except GeneratorExit:
            self.closed += 1
            raise

    async def render(self, messages: Sequence[Json], *, thinking: bool = True) -> str:
        return "\n".join(str(message["content"]) for message in messages)

    async def count_tokens(self, text: str) -> int:
        return len(text)

    async def capabilities(self) -> Capabilities:
        return Capabilities(context=1000, thinks=True, switchable=True)

    async def health(self) -> Health:
        return Health(ready=True)

    async def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo("served-name"),)

    async def aclose(self) -> None:
        self.scripts = []
