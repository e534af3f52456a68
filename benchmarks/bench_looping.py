"""What the modes that loop cost and reach on digits, beside thinking as long as it likes and within a budget.

    python benchmarks/bench_looping.py [--questions 350] [--write]

Chains of every length (router/jobs/builtin.py), the same for every mode, one query at a time on a real llama.cpp
server. By mode: the share right with its 95 % interval (Wilson), and a query's mean tokens of output, of prompt read
anew, and milliseconds. --write puts the table into docs/modes.md. All of it in benchmarks/out/looping.json.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean

from figures_file import put_into, write

from pointsman import Router
from pointsman.domain import Query
from pointsman.router.jobs.builtin import LENGTHS
from pointsman.router.jobs.questions import Question, chains
from pointsman.router.live import collect

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "modes.md"
BEGIN, END = "<!-- looping: begin -->", "<!-- looping: end -->"
ASKED: tuple[tuple[str, int | None], ...] = (
    ("direct", 0),
    ("think", 8),
    ("think", 17),
    ("think", 32),
    ("think", None),
    ("vote(3)", 0),
    ("vote(3)", 17),
    ("vote(5)", 17),
    ("vote(3)", None),
    ("first(2,4)", None),
    ("first(3,5)", None),
    ("early-exit(8,2)", None),
    ("early-exit(8,3)", None),
    ("early-exit(16,2)", None),
    ("early-exit(16,2)", 32),
)
"""Modes and thinking budgets (0: none, None: no limit)."""
PRICE = {"input": 0.1, "output": 1.0}


@dataclass(frozen=True, slots=True)
class Row:
    """A mode's figures over `n` questions: how many were right, means a query; gave_up: how often a thought was."""

    mode: str
    budget: int | None
    n: int
    right: int
    output: float
    read: float
    ms: float
    most_thought: int
    gave_up: int

    @property
    def ci95(self) -> tuple[float, float]:
        """Of the share right: Wilson's interval."""
        share, z = self.right / self.n, 1.96
        middle, scale = share + z * z / (2 * self.n), 1 + z * z / self.n
        spread = z * sqrt(share * (1 - share) / self.n + z * z / (4 * self.n**2))
        return (middle - spread) / scale, (middle + spread) / scale


def questions(count: int) -> list[Question]:
    """Chains, as evenly over the lengths as `count` allows, in random order."""
    share = -(-count // len(LENGTHS))
    drawn = [q for length in LENGTHS for q in chains(share, (length,), seed=77 + length)]
    random.Random(7).shuffle(drawn)
    return drawn[:count]


async def measured(router: Router, mode: str, budget: int | None, asked: list[Question]) -> Row:
    """Put the questions to the mode, one after the other."""
    right, gave_up, spent, ms = 0, 0, [], []
    for question in asked:
        wish = router.wish("digits", mode=mode, thinking_budget=budget)
        started = time.perf_counter()
        _, answered = await collect(router.run(Query(({"role": "user", "content": question.prompt},)), wish))
        ms.append((time.perf_counter() - started) * 1e3)
        attempt = answered.attempts[-1]
        right += (attempt.answer or "").strip() == question.answer
        gave_up += any("given up" in warning for warning in attempt.warnings)
        spent.append(attempt.usage)
    output, read = fmean(u.output for u in spent), fmean(u.prompt - u.cached for u in spent)
    return Row(mode, budget, len(asked), right, output, read, fmean(ms), max(u.thought for u in spent), gave_up)


async def all_modes(count: int, home: Path) -> list[Row]:
    """Every mode on the same questions."""
    route = {"model": "digits", "mode": "think", "price": PRICE}
    models = {"digits": {"engine": "llamacpp", "embedded": "digits"}}
    router = Router.from_config(home=home, models=models, routes={"full": route}, safe_route="full")
    await router.open_engines(await asyncio.to_thread(router.endpoints))
    rows: list[Row] = []
    try:
        asked = questions(count)
        for mode, budget in ASKED:
            rows.append(await measured(router, mode, budget, asked))
            print(line(rows[-1]), flush=True)
    finally:
        await router.aclose()
    return rows


def line(row: Row) -> str:
    """A row of the table in Markdown."""
    low, high = row.ci95
    budget = {0: "off", None: "none"}.get(row.budget, str(row.budget))
    share = f"{row.right / row.n:.1%} ({low:.1%} to {high:.1%})"
    return f"| `{row.mode}` | {budget} | {share} | {row.output:.1f} | {row.read:.0f} | {row.ms:.0f} |"


def table(rows: list[Row]) -> str:
    """The table in Markdown."""
    head = [
        "| mode | budget | right (95 %) | output tokens | prompt tokens read anew | ms |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    return "\n".join([*head, *map(line, rows)])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=int, default=350)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        rows = asyncio.run(all_modes(given.questions, Path(home)))
    figures = {
        f"{row.mode}, budget {row.budget}: {name}": round(value, 4)
        for row in rows
        for name, value in (
            ("right", row.right / row.n),
            ("output_tokens", row.output),
            ("prompt_read", row.read),
            ("ms", row.ms),
            ("most_thought", row.most_thought),
            ("gave_up", row.gave_up),
        )
    }
    write("looping", figures)
    if given.write:
        put_into(DOCS, BEGIN, END, table(rows))


if __name__ == "__main__":
    main()
