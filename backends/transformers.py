"""A model in this process, by torch and transformers (extra `[transformers]`), behind the same door as a server's.

Its thinking budget is its own: at most so many tokens of thought, then the closing mark is put in and the answer
follows. Structured output, grammars and parsed tool calls are not: a call that asks for them gets a warning.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from ..domain import Call, Capabilities, Enforcement, Finish, Json
from ..errors import BackendError, BackendTimeout, BackendUnavailable, PointsmanError
from .bodies import with_system
from .budget import RESERVE
from .engine import Continuation, Event, Finished, Health, ModelInfo, Timings
from .guard import Guard, Guarded
from .preflight import check_folder
from .restoring import restored
from .transformers_budget import Plan, plan
from .transformers_generation import Forward, Generation, Part, Sampler, Vocabulary
from .transformers_prompt import Chat, ChatTemplate, Tokenizer
from .transformers_text import Writer

_UNBOUNDED = 1 << 20
"""Context, in tokens, of a model whose configuration names none."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model in memory. context: tokens; parameters: billions."""

    model: Any
    tokenizer: Tokenizer
    template: ChatTemplate
    vocabulary: Vocabulary
    context: int
    parameters: float


class TransformersEngine:
    """One Hugging Face folder (config.json, safetensors, tokenizer, chat template) as an engine.

    Generations of one engine run one after another, in a thread of its own; a second call waits for the first. The
    model is loaded by the first use; `health` counts as one. `threads` is torch's intra-op setting, which holds for
    the whole process: leave a core for the rest. dtype: a torch name ("bfloat16"); by default float32 on the CPU,
    elsewhere as stored. reserve: tokens of a limit kept for the answer; context: a smaller one than the model's;
    system: text for queries that bring none. Sampling is greedy where the call gives no temperature.

    Raises MissingExtra without torch and transformers, ConfigError where the folder holds no model."""

    def __init__(
        self,
        name: str,
        folder: Path | str,
        *,
        device: str = "cpu",
        threads: int = 1,
        dtype: str | None = None,
        context: int | None = None,
        reserve: int = RESERVE,
        system: str | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._folder = Path(folder)
        check_folder(name, self._folder)
        self._name, self._device, self._threads, self._dtype = name, device, threads, dtype
        self._context, self._reserve, self._system, self._guard = context, reserve, system, guard
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"pointsman-{name}")
        self._loaded: _Loaded | None = None
        self._running: set[threading.Event] = set()

    @property
    def name(self) -> str:
        """The model's name in the configuration."""
        return self._name

    async def stream(self, call: Call) -> AsyncGenerator[Event, None]:
        """Events of one call, ending with one `Finished`; closing the generator stops the model at its next token.

        Raises BackendTimeout at the call's deadline (waiting for earlier calls included), BackendRejected where the
        prompt does not fit or the template refuses it, BackendUnavailable where the model fails or is closed."""
        made = Guarded(call) if self._guard is None else self._guard.guarded(call)
        events = self._events(made.call)
        if made.joint:
            events = restored(events, made.joint, as_json=call.response_format is not None)
        async with aclosing(events):
            async for event in events:
                if isinstance(event, Finished):
                    event = replace(event, warnings=(*event.warnings, *made.warnings))
                yield event

    async def _events(self, call: Call) -> AsyncGenerator[Event, None]:
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        stopped = threading.Event()

        def emit(event: Event | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                loop.call_soon_threadsafe(queue.put_nowait, event)

        asked = with_system(call, self._system)
        work = self._submit(lambda: self._generate(asked, emit, stopped, started))
        work.add_done_callback(lambda _: emit(None))
        self._running.add(stopped)
        try:
            while (event := await self._next(queue, call, started)) is not None:
                yield event
            self._result(work)
        finally:
            stopped.set()
            work.cancel()
            self._running.discard(stopped)

    async def render(self, messages: Sequence[Json], *, thinking: bool = True) -> str:
        """The text that the model's template makes of these messages. Raises BackendRejected where it refuses them."""
        loaded = await self._ready()
        return await asyncio.to_thread(loaded.template.render, Chat(tuple(messages), thinking))

    async def count_tokens(self, text: str) -> int:
        """How many tokens the model makes of this text; control tokens written in it count as such."""
        loaded = await self._ready()
        return len(await asyncio.to_thread(loaded.template.encode_rendered, text))

    async def capabilities(self) -> Capabilities:
        """Context from the model's configuration; tools, thinking and its switch from its chat template."""
        loaded = await self._ready()
        thinks = loaded.template.marks is not None
        return Capabilities(
            context=loaded.context,
            tools=loaded.template.takes_tools,
            images=False,
            thinks=thinks,
            switchable=loaded.template.switchable if thinks else None,
            continues=True,
        )

    async def health(self) -> Health:
        """Whether the model can generate now, loading it if need be; never raises."""
        try:
            await self._ready()
        except PointsmanError as error:
            return Health(False, str(error))
        import transformers

        return Health(True, f"transformers {transformers.__version__} on {self._device}")

    async def models(self) -> tuple[ModelInfo, ...]:
        """This one model."""
        loaded = await self._ready()
        return (ModelInfo(self._name, loaded.context, loaded.parameters, owned_by="local"),)

    async def aclose(self) -> None:
        """Stop what runs, refuse what waits, and free the model."""
        for stopped in tuple(self._running):
            stopped.set()
        self._worker.shutdown(wait=False, cancel_futures=True)
        self._loaded = None

    def _submit(self, work: Callable[[], _Result]) -> Future[_Result]:
        try:
            return self._worker.submit(work)
        except RuntimeError as error:
            raise self._closed() from error

    def _closed(self) -> BackendError:
        return BackendUnavailable("The engine is closed.", backend=self._name)

    async def _next(self, queue: asyncio.Queue[Event | None], call: Call, started: float) -> Event | None:
        """The next event, within the call's deadline."""
        left = None if call.deadline_ms is None else call.deadline_ms / 1e3 - (time.perf_counter() - started)
        try:
            return await asyncio.wait_for(queue.get(), left)
        except TimeoutError as error:
            problem = f"The call took longer than {call.deadline_ms:.0f} ms."
            raise BackendTimeout(problem, backend=self._name) from error

    async def _ready(self) -> _Loaded:
        if self._loaded is not None:
            return self._loaded
        work = self._submit(self._load)
        waiter = asyncio.wrap_future(work)
        waiter.add_done_callback(lambda done: done.cancelled() or done.exception())  # an error is raised from `work`
        await asyncio.wait([waiter])
        return self._result(work)

    def _result(self, work: Future[_Result]) -> _Result:
        """What the work came to; its error, as one of ours."""
        if work.cancelled():
            raise self._closed()
        error = work.exception()
        if error is None:
            return work.result()
        if isinstance(error, PointsmanError):
            raise error
        raise BackendUnavailable(f"The model failed: {type(error).__name__}: {error}", backend=self._name) from error

    def _load(self) -> _Loaded:
        """The model in memory, in the worker's thread."""
        if self._loaded is None:
            self._loaded = _load(self._name, self._folder, self._device, self._threads, self._dtype, self._context)
        return self._loaded

    def _generate(
        self, call: Call, emit: Callable[[Event | None], None], stopped: threading.Event, started: float
    ) -> None:
        """One call from prompt to `Finished`, in the worker's thread."""
        loaded = self._load()
        begun = time.perf_counter()
        planned = plan(call, loaded.template, context=loaded.context, reserve=self._reserve, backend=self._name)
        sampler = Sampler(call.sampling, planned.prompt, loaded.model.device)
        generation = Generation(Forward(loaded.model), loaded.vocabulary, planned, sampler)
        writer = Writer(loaded.tokenizer, planned.prompt, call.stop, continued=_continued(call, loaded.template))
        first: float | None = None
        for step in generation.steps(stopped.is_set, call.logprobs):
            first = first or time.perf_counter()
            for event in writer.feed(step):
                emit(event)
            if writer.stopped:
                generation.finish = Finish.STOP
                break
        if generation.finish is Finish.CANCELLED:
            raise self._closed()
        for event in writer.rest() if not generation.cut else ():
            emit(event)
        ended = time.perf_counter()
        timings = Timings(
            total_ms=(ended - started) * 1e3,
            first_token_ms=None if first is None else (first - started) * 1e3,
            prompt_ms=None if first is None else (first - begun) * 1e3,
        )
        emit(_finished(call, planned, generation, writer, timings, self._name))


def _continued(call: Call, template: ChatTemplate) -> frozenset[Part]:
    """The parts of the reply whose leading blanks are text: they go on from a prefix, or there are no marks at all."""
    parts = {Part.THOUGHT} if call.thought_prefix else set[Part]()
    if call.answer_prefix or template.marks is None:
        parts.add(Part.ANSWER)
    return frozenset(parts)


def _finished(
    call: Call, planned: Plan, generation: Generation, writer: Writer, timings: Timings, name: str
) -> Finished:
    thought = call.thought_prefix + writer.thought
    return Finished(
        finish=generation.finish,
        usage=writer.usage(len(planned.prompt)),
        timings=timings,
        enforced=Enforcement.NATIVE,
        model=name,
        continuation=Continuation(thought, generation.ended) if thought else None,
        warnings=planned.warnings,
    )


def _load(name: str, folder: Path, device: str, threads: int, dtype: str | None, context: int | None) -> _Loaded:
    """Read the model. Raises BackendUnavailable with what was wrong with the folder or the device."""
    import safetensors
    import torch
    import transformers

    torch.set_num_threads(threads)
    stored = "auto" if device != "cpu" else "float32"
    # Both classes choose by the folder's configuration, which no type can tell.
    tokenizers, models = cast("Any", transformers.AutoTokenizer), cast("Any", transformers.AutoModelForCausalLM)
    logs = transformers.utils.logging
    shown = logs.is_progress_bar_enabled()
    logs.disable_progress_bar()
    try:
        tokenizer = tokenizers.from_pretrained(folder, local_files_only=True)
        model = models.from_pretrained(folder, dtype=dtype or stored, local_files_only=True).to(device).eval()
    except (OSError, RuntimeError, ValueError, KeyError, safetensors.SafetensorError) as error:
        raise BackendUnavailable(f"The model in {folder} cannot be loaded: {error}", backend=name) from error
    finally:
        if shown:
            logs.enable_progress_bar()
    said = getattr(model.config.get_text_config(), "max_position_embeddings", None) or _UNBOUNDED
    template = ChatTemplate(tokenizer, backend=name)
    return _Loaded(
        model=model,
        tokenizer=tokenizer,
        template=template,
        vocabulary=Vocabulary(_ends(model, tokenizer), template.marks, lambda token: _is_blank(tokenizer, token)),
        context=min(said, context or said),
        parameters=sum(weights.numel() for weights in model.parameters()) / 1e9,
    )


def _ends(model: Any, tokenizer: Tokenizer) -> frozenset[int]:
    """The tokens that end a turn, of the generation settings and of the tokenizer."""
    said = getattr(model.generation_config, "eos_token_id", None)
    ends = set(cast("list[int]", said)) if isinstance(said, list) else {said}
    return frozenset(token for token in (*ends, tokenizer.eos_token_id) if token is not None)


def _is_blank(tokenizer: Tokenizer, token: int) -> bool:
    return not tokenizer.decode([token], skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()
