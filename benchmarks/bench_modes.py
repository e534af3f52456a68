"""Does every engine that runs here keep what a mode promises: off is off, a budget is a budget, nothing lost or leaked.

    python benchmarks/bench_modes.py [--engines llamacpp,vllm] [--requests 1001] [--write]

Per engine: `requests` chains of digits over seven modes (off, and budgets of 0, 1, 4, 8, 17, 32), four at a time;
three questions to SmolLM2 under a template that opens a thought, with a budget of 1,024; 200 messages that try to
change the mode; and, where the engine keeps budgets itself, the same requests by two passes. Then every family of
families.yaml whose chat template a pinned package has: 10,000 such messages rendered (family_templates.py). Writes
benchmarks/out/modes.jsonl, a line a request, and benchmarks/out/modes.json (modes_judged.py).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import injections
from family_templates import rendered_families
from figures_file import put_into, write
from modes_judged import figures, table
from real_engines import DIGITS, Opened, Place, places, smollm2_folder
from tokenizers import Tokenizer

from pointsman.backends import Engine, Finished, Text, Thought, prepare
from pointsman.backends.families import family_of
from pointsman.domain import Call, Price, Query, Route, Sampling
from pointsman.router.jobs.questions import chains

OUT = Path(__file__).resolve().parent / "out"
DOCS = OUT.parent.parent / "docs" / "results.md"
BEGIN, END = "<!-- modes: begin -->", "<!-- modes: end -->"
BUDGETS: tuple[int | str, ...] = ("off", 0, 1, 4, 8, 17, 32)
LENGTHS = (3, 5, 6, 7, 8)
"""Operators of the chains: long enough that no thought ends by itself within 32 tokens."""
OPEN = ("Why is the sky blue?", "How does a lock on a canal work?", "Tell me how bread is made, step by step.")
OPEN_BUDGET = 1024
INJECTED = 200
PAIRS = 60
GREEDY = Sampling(temperature=0.0)
AT_ONCE = 4


class Asked:
    """The requests of one engine: each is a line of the raw file."""

    def __init__(self, place: Place, out: Any) -> None:
        self.place, self._out = place, out
        self.lines: list[dict[str, Any]] = []

    def note(self, kind: str, **line: Any) -> None:
        """Write one line."""
        line = {"kind": kind, "engine": self.place.name, "path_only": self.place.path_only, **line}
        self.lines.append(line)
        self._out.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._out.flush()


def call(text: str, budget: int | str | None, most: int = 8) -> Call:
    """The call of a route with this budget: `off` is the mode `direct`, a number is `think` within it."""
    mode, tokens = ("direct", 0) if budget == "off" else ("think", budget)
    assert tokens is None or isinstance(tokens, int)
    query = Query(({"role": "user", "content": text},), sampling=GREEDY)
    made = prepare(query, Route("r", "m", mode, tokens, Price(0, 0, 1)))
    return replace(made, max_answer_tokens=most)


async def run(engine: Engine, one: Call) -> dict[str, Any]:
    """What came of a call, as told."""
    thought = answer = ""
    done: Finished | None = None
    async with aclosing(engine.stream(one)) as events:
        async for event in events:
            if isinstance(event, Thought):
                thought += event.text
            elif isinstance(event, Text):
                answer += event.text
            elif isinstance(event, Finished):
                done = event
    assert done is not None
    usage = done.usage
    return {
        "thought": usage.thought,
        "answer": usage.answer,
        "prompt": usage.prompt,
        "cached": usage.cached,
        "thought_text": thought,
        "answer_text": answer,
        "enforced": done.enforced.value,
        "finish": done.finish.value,
        "ms": round(done.timings.total_ms, 2),
    }


async def recounted(engine: Engine, one: Call, counter: Tokenizer, closing: int = 1) -> dict[str, Any]:
    """The same, with the tokens of its texts as the model's own tokenizer has them; closing: those of the closing
    marker, which is thought where the engine made it."""
    came = {**await run(engine, one), "closing": closing}
    for part in ("thought", "answer"):
        ids = counter.encode(came[f"{part}_text"], add_special_tokens=False).ids
        came[f"recounted_{part}"] = len(ids)
    return came


async def on_digits(asked: Asked, opened: Opened, requests: int) -> None:
    """Chains in every mode, and messages that try to change it."""
    engine, counter = opened.engine(), Tokenizer.from_file(str(DIGITS / "tokenizer.json"))
    drawn, gate = random.Random(6), asyncio.Semaphore(AT_ONCE)
    texts = [one.prompt for one in chains(-(-requests // len(BUDGETS)), LENGTHS, seed=6)]

    async def chain(text: str) -> None:
        async with gate:
            whole = await recounted(engine, call(text, None), counter)
            for budget in BUDGETS:
                came = await recounted(engine, call(text, budget), counter)
                tokens = 0 if budget == "off" else budget
                told = {"model": "digits", "mode": str(budget), "budget": tokens, "question": text, "injected": False}
                asked.note("request", **told, unbounded=whole["recounted_thought"], **came)

    await asyncio.gather(*map(chain, texts))
    family = family_of(("digits",))

    async def attack(at: int) -> None:
        async with gate:
            question, spelled, budget = drawn.choice(texts), injections.drawn(drawn, family), (0, 17)[at % 2]
            letters = "".join(drawn.choice(ascii_lowercase) for _ in spelled)
            for kind, text in (("injection", question + spelled), ("control", question + letters)):
                came = await recounted(engine, call(text, budget), counter)
                told = {"model": "digits", "mode": str(budget), "budget": budget, "question": text, "injected": True}
                asked.note(kind, **told, unbounded=None, **came)

    await asyncio.gather(*map(attack, range(INJECTED)))
    await engine.aclose()
    await by_both_ways(asked, opened, texts[:PAIRS])


async def by_both_ways(asked: Asked, opened: Opened, texts: list[str]) -> None:
    """The engine's own budget and two passes, on the same questions, one after the other."""
    native = opened.engine()
    first = await run(native, call(texts[0], 17))
    if first["enforced"] == "native" and opened.server:
        forced = opened.engine(budget="two-pass")
        await run(forced, call(texts[0], 17))
        for text in texts:
            own, two = await run(native, call(text, 17)), await run(forced, call(text, 17))
            line = {f"{name}_ms": came["ms"] for name, came in (("native", own), ("two_pass", two))}
            read = {f"{n}_prefill": came["prompt"] - came["cached"] for n, came in (("native", own), ("two_pass", two))}
            same, ways = own["answer_text"] == two["answer_text"], [own["enforced"], two["enforced"]]
            asked.note("pair", **line, **read, same_answer=same, enforced=ways)
        await forced.aclose()
    await native.aclose()


async def in_the_open(asked: Asked, opened: Opened) -> None:
    """SmolLM2, which goes on thinking until it is cut."""
    engine, counter = opened.engine(), Tokenizer.from_file(str(smollm2_folder() / "tokenizer.json"))
    closing = await engine.count_tokens("</think>")  # words to some, a token to others
    for text in OPEN:
        came = await recounted(engine, call(text, OPEN_BUDGET, 24), counter, closing)
        told = {"model": "smollm2", "mode": str(OPEN_BUDGET), "budget": OPEN_BUDGET, "question": text}
        asked.note("request", **told, injected=False, unbounded=None, **came)
    await engine.aclose()


async def measured(wanted: argparse.Namespace, out: Any) -> list[dict[str, Any]]:
    """The lines of every engine."""
    lines: list[dict[str, Any]] = []
    for place in places(wanted.engines):
        place.install()
        asked = Asked(place, out)
        async for opened in one_after_the_other(place, open_too=not wanted.without_open):
            if opened.model == "digits":
                await on_digits(asked, opened, wanted.requests)
            else:
                await in_the_open(asked, opened)
        lines += asked.lines
        print(f"{place.title}: {len(asked.lines)} lines", flush=True)
    return lines


async def one_after_the_other(place: Place, *, open_too: bool) -> AsyncIterator[Opened]:
    """The engine with each of its models."""
    for model in place.models if open_too else place.models[:1]:
        with place.open(place, model) as opened:
            yield opened


def main() -> None:
    """Measure, write both files, print the figures."""
    parser = argparse.ArgumentParser(description=re.sub(r"\n\n.*", "", __doc__ or "", flags=re.DOTALL))
    parser.add_argument("--engines", help="names with commas between; all of them if left out")
    parser.add_argument("--requests", type=int, default=1001)
    parser.add_argument("--without-open", action="store_true", help="digits alone")
    parser.add_argument("--without-families", action="store_true", help="no chat templates of other families")
    parser.add_argument("--write", action="store_true", help="put the table into docs/results.md")
    wanted = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    raw = OUT / "modes.jsonl"
    with raw.open("w", encoding="utf-8") as out:
        lines = asyncio.run(measured(wanted, out))
        for line in () if wanted.without_families else rendered_families():
            lines.append({"kind": "family", **line})
            out.write(json.dumps(lines[-1], ensure_ascii=False) + "\n")
    if wanted.write:
        put_into(DOCS, BEGIN, END, table(figures(lines), {place.name: place.title for place in places()}))
    path = write("modes", figures(lines), raw.relative_to(OUT.parent.parent))
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
