"""Train the artifact that ships with the default configuration: `python scripts/train_shipped_artifact.py`.

Reads the committed table scripts/shipped_artifact.jsonl (one row per prompt and route) and writes the artifact into
classifiers/models/shipped/. With --gather the table itself is made anew (with --gather MODEL: the rows of this model
only): chains and open-text prompts of our own run on the embedded routes, which takes some minutes. On open text `chat`
counts as right and the others as wrong BY CONVENTION: nobody judged those answers; the artifact's report says so.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import orjson
from open_text import open_text

from pointsman.domain import Observation, Query, Wish
from pointsman.router import Router, load
from pointsman.router.jobs.evaluation.replay import Aim
from pointsman.router.jobs.questions import Question, chains, check
from pointsman.router.jobs.retrain import retrain
from pointsman.router.live import collect

HERE = Path(__file__).resolve().parent
TABLE = HERE / "shipped_artifact.jsonl"
SHIPPED = HERE.parent / "classifiers" / "models" / "shipped"
LENGTHS = tuple(range(1, 9))
N_CHAINS, N_OPEN = 480, 256
MAX_TOKENS = 96  # of an answer to open text, and of the attempts of digits at it
MAX_CHAIN_TOKENS = 8  # of the attempts of chat at a chain: it is told right or wrong by then
SEED = 20
CONVENTION = (
    "On open text the route chat counts as right and the digits routes as wrong by convention: "
    "nobody judged the answers."
)


async def gather(router: Router, model: str) -> list[dict[str, Any]]:
    """A row of the shared table form for every prompt and route (of this model; all: of every one)."""
    await router.open_engines(router.endpoints())
    asked: list[tuple[str, Question | None]] = [(q.prompt, q) for q in chains(N_CHAINS, LENGTHS, SEED)]
    asked += [(prompt, None) for prompt in open_text(N_OPEN, SEED)]
    gate = asyncio.Semaphore(4)

    async def one(i: int, prompt: str, question: Question | None, route: str) -> dict[str, Any]:
        limit = MAX_TOKENS if question is None else MAX_CHAIN_TOKENS if route == "chat" else None
        query = Query(messages=({"role": "user", "content": prompt},), max_tokens=limit)
        async with gate:
            _, answered = await collect(router.run(query, Wish(route=route)))
        attempt = answered.attempts[-1]
        right = route == "chat" if question is None else check(question, attempt.answer or "")
        return {
            "benchmark": "open-text" if question is None else "digits",
            "group": "open-text" if question is None else f"chains-{question.difficulty}",
            "query_id": f"q{i:04}",
            "prompt": prompt,
            "model": attempt.model,
            "mode": mode_of(route),
            "sample": 0,
            "correct": int(right),
            "input_tokens": attempt.usage.prompt,
            "output_tokens": attempt.usage.output,
            "tokens_are": "billed",
        }

    jobs = [one(i, p, q, r.name) for i, (p, q) in enumerate(asked) for r in router.routes if model in ("all", r.model)]
    return list(await asyncio.gather(*jobs))


def mode_of(route: str) -> str:
    """The table's word for a route's mode."""
    return {"small": "direct", "budgeted": "think-budget-17", "full": "think-full", "chat": "direct"}[route]


def read() -> list[dict[str, Any]]:
    """The rows of the committed table."""
    return [orjson.loads(line) for line in TABLE.read_bytes().splitlines()]


def observations(rows: list[dict[str, Any]]) -> list[Observation]:
    """The table as training reads it; every question is its own group, since each kind is wanted in training."""
    names = {
        ("digits", "direct"): "small",
        ("digits", "think-budget-17"): "budgeted",
        ("digits", "think-full"): "full",
        ("smollm2", "direct"): "chat",
    }
    return [
        Observation(
            query_id=row["query_id"],
            group=row["query_id"],
            route=names[row["model"], row["mode"]],
            correct=float(row["correct"]),
            input_tokens=float(row["input_tokens"]),
            output_tokens=float(row["output_tokens"]),
            text=row["prompt"],
        )
        for row in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gather", nargs="?", const="all", metavar="MODEL", help="make the table anew first")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        settings, _ = load(None, {"home": home}, environ={})
        with Router(settings) as router:
            router.store.upgrade()
            if args.gather:
                rows = router.portal().call(gather, router, args.gather)
                kept = [] if args.gather == "all" else [row for row in read() if row["model"] != args.gather]
                rows = sorted([*kept, *rows], key=lambda row: (row["query_id"], row["model"], row["mode"]))
                TABLE.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
            aim = Aim(router.routes, settings.objective.objective(), "chat")
            shutil.rmtree(SHIPPED, ignore_errors=True)
            embedder = router.decider.embedder
            done = retrain(observations(read()), aim, embedder, SHIPPED, notes=[CONVENTION], not_measured=["chat"])
    print(done.artifact.id, done.comparison.sentence)


if __name__ == "__main__":
    main()
