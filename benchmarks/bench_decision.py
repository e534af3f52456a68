"""How long a whole decision takes with the default encoder, on one core: `make bench`.

A decision is everything from the query to the Decision: text, features, embedding, all routes' estimates, policy.
Prompts of about 50 and 500 tokens are made of common words, each different, so that nothing can be cached. ladder_ms:
the estimates of all 32 states of a ladder of five routes, evidence row included, encoder and models apart.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Callable

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np  # noqa: E402 - the thread limits must stand before
from figures_file import write  # noqa: E402

from pointsman.classifiers import lexical, text_of  # noqa: E402
from pointsman.classifiers.ladder_table import table_of  # noqa: E402
from pointsman.domain import Objective, Observation, Price, Query, Route  # noqa: E402
from pointsman.router import Router  # noqa: E402
from pointsman.router.jobs.climbing import climb  # noqa: E402
from pointsman.router.jobs.evaluation.replay import Aim  # noqa: E402

WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "for",
    "it",
    "as",
    "was",
    "with",
    "be",
    "by",
    "on",
    "not",
    "he",
    "his",
    "but",
    "at",
    "are",
    "this",
    "have",
    "from",
    "or",
    "had",
    "an",
    "they",
    "which",
    "one",
    "you",
    "were",
    "all",
    "her",
    "she",
    "there",
    "would",
    "their",
    "we",
    "him",
    "been",
    "has",
    "when",
    "who",
    "will",
    "no",
    "more",
    "if",
    "out",
    "so",
    "up",
    "said",
    "what",
    "its",
    "about",
    "than",
    "into",
    "them",
    "can",
    "only",
    "other",
    "time",
    "new",
    "some",
    "could",
    "these",
    "two",
    "may",
    "first",
    "then",
    "do",
    "any",
    "like",
    "my",
    "now",
    "over",
    "such",
    "our",
    "man",
    "me",
    "even",
    "most",
    "made",
    "after",
    "also",
    "did",
    "many",
    "off",
    "before",
    "must",
    "well",
    "back",
    "through",
    "years",
    "much",
    "where",
    "your",
    "way",
    "down",
    "should",
    "because",
    "long",
]
N = 2000


def prompts(tokens: int, seed: int) -> list[Query]:
    """N different queries of about this many tokens (a common word is about one)."""
    rng = random.Random(seed)
    return [
        Query(messages=({"role": "user", "content": " ".join(rng.choices(WORDS, k=tokens - 1)) + "?"},))
        for _ in range(N)
    ]


def timed(action: Callable[[Query], object], queries: list[Query]) -> tuple[float, float]:
    """Median and 99th percentile in ms over the queries, after a tenth of them as a warm-up."""
    for query in queries[: N // 10]:
        action(query)
    took = []
    for query in queries:
        start = time.perf_counter()
        action(query)
        took.append((time.perf_counter() - start) * 1000)
    return float(np.percentile(took, 50)), float(np.percentile(took, 99))


def ladder_ms(queries: list[Query]) -> float:
    """Median ms of all states of a five-route ladder for one query."""
    rng = random.Random(0)
    routes = tuple(Route(f"r{i}", "m", "direct", 0, Price(0.1, 0.0, 1.0)) for i in range(5))
    seen = [
        Observation(
            query_id=f"q{q}",
            group=f"q{q}",
            route=route.name,
            correct=float(rng.random() < 0.4 + 0.1 * i),
            input_tokens=50.0,
            output_tokens=float(rng.randint(1, 200)),
            text=f"what is {q} times {7 * q}?",
            answer=rng.choice("AB"),
            signs={"first_probability": rng.random(), "mean_probability": rng.random()},
        )
        for q in range(300)
        for i, route in enumerate(routes)
    ]
    fitted = climb(seen, Aim(routes, Objective(), "r4"))
    assert fitted is not None
    table = table_of(fitted.model, len(fitted.model.prices) // 2)
    features, told = lexical(text_of(queries[0])), [{"first_probability": 0.3, "mean_probability": 0.2}] * 5
    tokens, codes = [3.0, 5.0, 9.0, 100.0, 200.0], [0, 0, 1, 0, 0]
    return timed(lambda _: table.predict(table.row(features, tokens, codes, told)), queries)[0]


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
    with tempfile.TemporaryDirectory() as home:
        router = Router.from_config(home=home, store=f"sqlite:///{home}/bench.db")
        assert router.decider.artifact, "the shipped artifact must serve, or there is nothing to measure"
        decider = router.decider
        figures: dict[str, float] = {}
        for tokens in (50, 500):
            p50, p99 = timed(lambda query: decider.decide(query), prompts(tokens, tokens))
            figures |= {f"p50_ms_{tokens}": p50, f"p99_ms_{tokens}": p99}
        short = prompts(50, 1)
        figures["encoder_ms_50"] = timed(lambda q: decider.embedder.encode([text_of(q)]), short)[0]
        figures["features_ms_50"] = timed(lambda q: lexical(text_of(q)), short)[0]
        learnt = decider._learnt
        assert learnt
        x = lexical(text_of(short[0]))[np.newaxis]
        z = decider.embedder.encode([text_of(short[0])])
        figures["estimate_ms"] = timed(lambda _: learnt.artifact.estimator.predict(x, z), short)[0]
        figures["ladder_ms"] = ladder_ms(short)
        router.close()
    path = write("decision", figures)
    for name, value in figures.items():
        print(f"{name:18} {value:8.3f}")
    print(f"written to {path.relative_to(path.parents[2])}")


if __name__ == "__main__":
    main()
