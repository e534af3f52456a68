"""What each kind of evidence tells of a cheap answer, live, on the models that come with Pointsman.

    python benchmarks/bench_probes.py [--questions 300] [--write]

Three cases, one model alone in each, on a real llama.cpp server: digits on chains whose text shows how hard they are;
digits on chains whose text does not; SmolLM2 on questions of reasoning-gym, its answer at once beside one worked out in
the open. Figures by case: accuracy of the cheap and the dear route, and for each evidence auroc (is the cheap answer
right), apgr (what is recovered of the gap to the dear route), cost as a share of the dear route's. --write puts it
into docs/results.md.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_routing import put
from figures_file import write

from pointsman import Router
from pointsman.router.jobs.builtin import builtin
from pointsman.router.jobs.calibrate import run
from pointsman.router.jobs.contenders import contenders
from pointsman.router.jobs.journal import Journal
from pointsman.router.jobs.probe_worth import Told, worths
from pointsman.router.jobs.questions import annulled
from pointsman.router.jobs.verifiable import Verifiable

BEGIN, END = "<!-- probes: begin -->", "<!-- probes: end -->"
ROOM = {"at_once": 32, "worked_out": 160}
"""Most tokens of SmolLM2's answers."""
ASK = ["p_right", "stated_confidence", "again"]
PRICE = {"input": 0.1, "output": 1.0}
DIGITS: dict[str, Any] = {
    "models": {"digits": {"engine": "llamacpp", "embedded": "digits"}},
    "routes": {
        "small": {"model": "digits", "mode": "direct", "thinking_budget": 0, "price": PRICE},
        "full": {"model": "digits", "mode": "think", "price": PRICE},
    },
}
SMOLLM2: dict[str, Any] = {
    "models": {"smollm2": {"engine": "llamacpp", "embedded": "smollm2", "extra": {"temperature": 0.0}}},
    "routes": {
        "at_once": {"model": "smollm2", "mode": "direct", "thinking_budget": 0, "price": PRICE},
        "worked_out": {"model": "smollm2", "mode": "solve", "thinking_budget": 0, "price": PRICE},
    },
}


def hidden(count: int) -> tuple[Verifiable, ...]:
    """Chains of the same characters in another order (questions.annulled)."""
    drawn = annulled(count, seed=7)
    return tuple(
        Verifiable(f"hidden-{i}", "hidden", f"fold {i % 5}", q.prompt, "exact", q.answer) for i, q in enumerate(drawn)
    )


def builtins(*, chains: bool) -> Callable[[int], tuple[Verifiable, ...]]:
    """The questions that come with Pointsman: chains for digits, or those of reasoning-gym."""

    def drawn(count: int) -> tuple[Verifiable, ...]:
        return tuple(q for q in builtin(4 * count, digits=chains) if q.group.startswith("chain-") == chains)[:count]

    return drawn


CASES: dict[str, tuple[dict[str, Any], str, str, Callable[[int], tuple[Verifiable, ...]]]] = {
    "digits, chains": (DIGITS, "small", "full", builtins(chains=True)),
    "digits, hidden": (DIGITS, "small", "full", hidden),
    "SmolLM2, reasoning-gym": (SMOLLM2, "at_once", "worked_out", builtins(chains=False)),
}


async def case(name: str, count: int, folder: Path) -> Told | None:
    """Run one case and tell."""
    config, cheap, dear, questions = CASES[name]
    router = Router.from_config(home=folder, safe_route=dear, evidence={"ask": ASK}, **config)
    with Journal(folder / "runs.jsonl", resume=False) as journal:
        await router.open_engines(await asyncio.to_thread(router.endpoints))
        try:
            entered = contenders(router, (cheap, dear), samples=1)
            room = [replace(c, max_tokens=ROOM.get(c.name, c.max_tokens)) for c in entered]
            ran = await run(router, questions(count), room, journal)
        finally:
            await router.aclose()
    found = worths(ran.rows, (cheap,), dear)
    return found[0] if found else None


def table(told: dict[str, Told | None]) -> str:
    """The table in Markdown."""
    found = [
        "| case | evidence | known for | AUROC (95 %) | APGR | cost |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for name, case_ in told.items():
        if case_ is None:
            found.append(f"| {name} | nothing can be told: all answers right, or all wrong | | | | |")
            continue
        head = f"{name}: {case_.route} {case_.accuracy:.0%}, {case_.dear} {case_.dear_accuracy:.0%} right"
        for w in case_.worth:
            ranked = "no gap" if w.apgr is None else f"{w.apgr:.2f}"
            low, high = w.ci95
            known, span = f"{w.n:,} of {case_.n:,}", f"{w.auroc:.2f} ({low:.2f} to {high:.2f})"
            found.append(f"| {head} | {w.evidence} | {known} | {span} | {ranked} | {w.cost:.0%} |")
            head = ""
    return "\n".join(found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--only", choices=list(CASES))
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    told: dict[str, Told | None] = {}
    for name in [given.only] if given.only else CASES:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            told[name] = asyncio.run(case(name, given.questions, Path(folder)))
        print(f"{name}: {time.perf_counter() - started:.0f} s")
    text = table(told)
    print(text)
    figures = {f"{name}: {w.evidence}": round(w.auroc, 4) for name, t in told.items() if t for w in t.worth}
    write("probes", figures)
    if given.write:
        put(text, BEGIN, END)


if __name__ == "__main__":
    main()
