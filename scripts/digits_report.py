"""What a trained digits really does: accuracy and tokens by length of chain, directly, cut at budgets, in full.

Greedy decoding in transformers with the half-precision weights that are shipped, computed in float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import digits_tokenizer as tok
import torch
from digits_traces import CHECKS, LONGEST, prompt
from transformers import LlamaForCausalLM

from pointsman.router.jobs.questions import Question, chains

BUDGETS = (1, 4, 8, 17, 32)
ROUTES: Mapping[str, int | None] = {"direct": 0, **{f"budget_{n}": n for n in BUDGETS}, "full": None}
_CAP = 160  # far more tokens than any full thought has


@dataclass(frozen=True, slots=True)
class Figures:
    """Means over the questions of one length. Output tokens are all that the model is charged for: the thought,
    its closing marker, the answer and the end. `one_digit`: the share that answered one digit and ended."""

    accuracy: float
    thought_tokens: float
    output_tokens: float
    one_digit: float


@torch.no_grad()
def generate(model: LlamaForCausalLM, prompts: torch.Tensor, budget: int | None) -> list[list[int]]:
    """Greedy continuations of prompts (n, length) that end in an opened thought, each up to its `<|end|>`.

    A thought of `budget` tokens is closed there; None lets it run."""
    close, end = tok.IDS[tok.CLOSE], tok.IDS[tok.END]
    inputs, cache, made = prompts, None, []
    thinking = torch.ones(len(prompts), dtype=torch.bool)
    ended = ~thinking
    for count in range(_CAP):
        out = model(input_ids=inputs, cache=cache, use_cache=True, logits_to_keep=1)
        cache = out.cache
        chosen = out.logits[:, -1].argmax(-1)
        if budget is not None and count >= budget:
            chosen = torch.where(thinking, close, chosen)
        made.append(chosen)
        ended |= ~thinking & (chosen == end)
        thinking &= chosen != close
        if ended.all():
            break
        inputs = chosen[:, None]
    rows = torch.stack(made, dim=1).tolist()
    return [row[: row.index(end) + 1] if end in row else row for row in rows]


def measure(model: LlamaForCausalLM, questions: Sequence[Question], budget: int | None) -> Figures:
    """Figures of one route on questions of one length."""
    outputs = generate(model, torch.tensor([prompt(q.prompt) for q in questions]), budget)
    close, right, whole, thought = tok.IDS[tok.CLOSE], 0, 0, 0
    for question, output in zip(questions, outputs, strict=True):
        cut = output.index(close) if close in output else len(output)
        answer = tok.decode(output[cut + 1 :])
        right += answer == question.answer + tok.END
        whole += len(answer) == 1 + len(tok.END) and answer[0].isdigit()
        thought += cut
    n = len(questions)
    # A direct answer's closing marker stands in the prompt already.
    output_tokens = sum(map(len, outputs)) / n - (budget == 0)
    return Figures(round(right / n, 4), round(thought / n, 2), round(output_tokens, 2), round(whole / n, 4))


def table(
    model: LlamaForCausalLM, per_length: int, routes: Sequence[str] = tuple(ROUTES)
) -> dict[str, dict[str, Figures]]:
    """{length: {route: figures}}, on chains that were held out of training where the length has any.

    Empty for no questions."""
    by_length: dict[str, dict[str, Figures]] = {}
    if per_length == 0:
        return by_length
    for length in range(1, LONGEST + 1):
        questions = chains(per_length, (length,), seed=1_000 + length, held_out=length > 1)
        by_length[str(length)] = {route: measure(model, questions, ROUTES[route]) for route in routes}
    return by_length


def text(by_length: Mapping[str, Mapping[str, Figures]]) -> str:
    """The table as Markdown: accuracy of each route, and the tokens of the full thought."""
    routes = list(next(iter(by_length.values()), ()))
    lines = ["| length | " + " | ".join(routes) + " | thought tokens |", "|---" * (len(routes) + 2) + "|"]
    for length, row in by_length.items():
        figures = " | ".join(f"{row[route].accuracy:.3f}" for route in routes)
        lines.append(f"| {length} | {figures} | {row['full'].thought_tokens:.1f} |")
    return "\n".join(lines)


def write(folder: Path, by_length: Mapping[str, Mapping[str, Figures]], training: Mapping[str, object]) -> None:
    """Write report.json and the model card README.md."""
    report = {
        "name": "digits",
        "date": datetime.now(UTC).date().isoformat(),
        "torch": torch.__version__.split("+")[0],
        **training,
        "held_out": "Lengths 2 and more: chains never trained on. Length 1: there are only 300, all trained on.",
        "checks_by_length": CHECKS,
        "by_length": {length: {route: asdict(f) for route, f in row.items()} for length, row in by_length.items()},
    }
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_CARD.format(table=text(by_length), **training), encoding="utf-8")


_CARD = """\
# digits

A miniature reasoning model: a Llama of {parameters:,} parameters that evaluates chains of single-digit operations,
strictly from left to right and modulo 10 (`3+4*2-7` is 7), directly or after a thought. It is there to try every
engine with a model that really thinks, really costs tokens and really fails when its thought is cut too short. It
knows nothing else: to any other text it answers nonsense.

Like large reasoning models it over-thinks. It works the chain through, step by step, and then checks the whole chain
again, more often the easier it is:

```
<|user|>3+4*2<|end|><|assistant|><think>3+4=7;*2=4;?3+4=7;*2=4;?…</think>4<|end|>
```

Accuracy by length of chain (its number of operators), {questions_per_length} questions each, greedy; `budget_N` closes
the thought after N tokens. Chains of length 2 and more were held out of training; of length 1 there are only 300.

{table}

Files: `model.safetensors` with the tokenizer's and configuration's files (transformers, vLLM), `digits.gguf`
(llama.cpp), both float16 and the same weights; `report.json` has all figures. The chat template knows
`enable_thinking` (true unless given); `<think>` and `</think>` are control tokens. Any text goes in: printable ASCII
has a token a character, the rest a token a byte.

What it cannot do: earlier turns of a conversation confuse it (a system message hardly does), blanks or anything else
inside a chain too; other text may make it think or write on, so give a limit. A JSON schema holds; bound its strings
(`enum`, `pattern`, `maxLength`), an open one may not end.

Trained from scratch on generated chains only: {steps:,} steps, {cpu_seconds:,} seconds of CPU time, seed {seed}.

    python scripts/train_digits.py --out backends/models/digits

Apache-2.0, copyright The Pointsman authors.
"""
