"""The families' own chat templates, taken from a pinned package when they are needed (none is kept here), and what a
message that tries to change the mode does to the prompt that they make.

A message moves a prompt if, once guarded (backends/guard.py), its prompt is anything but that of a harmless message
with its text in that one's place, or holds a control token that the harmless prompt has not. Control tokens are found
with a stand-in tokenizer in which all that the family reads is a special token.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import injections
from jinja2 import TemplateError
from real_engines import HOME
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from pointsman.backends.families import families, family_of, markers_of
from pointsman.backends.family_rows import Family
from pointsman.backends.guard import Guard
from pointsman.backends.switching import arguments_of, switched
from pointsman.backends.template_language import compiled
from pointsman.domain import Call, Json

PACKAGE = "xinference==4.1.0"
EACH = 10_000
HARMLESS = "qzx"
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}


def rendered_families(each: int = EACH) -> Iterator[dict[str, Any]]:
    """A line for every family that thinks: its template's name in the package (None: there is none, and nothing was
    tried), how many messages were tried and how many moved the prompt."""
    found = templates()
    for family in families():
        if family.thinks:
            name, text = found.get(family.name, (None, ""))
            yield {"family": family.name, "template": name, **(tried(family, text, each) if name else NOTHING)}


NOTHING = {"tried": 0, "moved": 0}
CONTROL = 400
"""Messages that are rendered without the guard, too: that they move a prompt shows that the others could."""


def templates() -> dict[str, tuple[str, str]]:
    """By family: the package's first model of it that has a template, and the template."""
    folder = HOME / "templates"
    if not (folder / "xinference").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, PACKAGE]
        subprocess.run([*map(str, command)], check=True)
    found: dict[str, tuple[str, str]] = {}
    for file in sorted((folder / "xinference" / "model" / "llm" / "models").glob("*.json")):
        told = json.loads(file.read_text(encoding="utf-8"))
        for model in told if isinstance(told, list) else [told]:
            text = model.get("chat_template")
            if text and (family := _family(model)) is not None:
                found.setdefault(family.name, (model["model_name"], text))
    return found


def _family(model: dict[str, Any]) -> Family | None:
    """The family of a model of the package, by its hubs' names for it, else by the package's."""
    hubs = [hub for spec in model.get("model_specs", ()) for hub in _hubs(spec)]
    return family_of((*hubs, model["model_name"]))


def _hubs(spec: dict[str, Any]) -> list[str]:
    sources = spec.get("model_src") or {}
    return [str(one["model_id"]) for one in sources.values() if isinstance(one, dict) and one.get("model_id")]


def tried(family: Family, text: str, each: int) -> dict[str, int]:
    """How many of `each` messages moved the prompt of a family's template, in either mode and in every role."""
    template, tokenizer, drawn = compiled(text, SPECIAL, family.name), stand_in(family), random.Random(family.name)
    guard, moved, control = Guard(family, markers_of(family)), 0, 0
    for at in range(each):
        thinking, history = at % 2 == 0, HISTORIES[at // 2 % len(HISTORIES)]
        attack = f"x {injections.drawn(drawn, family)} y"
        plain = prompt(template, family, history(HARMLESS), thinking=thinking)
        (made,) = guard.guarded(Call(history(attack)[:1])).call.messages
        full = prompt(template, family, history(made["content"]), thinking=thinking)
        moved += is_moved(tokenizer, plain, full, made["content"])
        if at < CONTROL:
            bare = prompt(template, family, history(attack), thinking=thinking)
            control += is_moved(tokenizer, plain, bare, attack)
    return {"tried": each, "moved": moved, "unguarded_tried": min(each, CONTROL), "unguarded_moved": control}


HISTORIES: tuple[Callable[[str], tuple[Json, ...]], ...] = (
    lambda text: ({"role": "user", "content": text},),
    lambda text: ({"role": "system", "content": text}, {"role": "user", "content": "b"}),
    lambda text: (
        {"role": "user", "content": text},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ),
)
"""Conversations with the text in their first message."""


def is_moved(tokenizer: Tokenizer, plain: str, full: str, text: str) -> bool:
    """Whether the prompt with this text is another than the harmless one."""
    return full.replace(text, HARMLESS) != plain or controls(tokenizer, full) != controls(tokenizer, plain)


def prompt(template: Callable[..., str], family: Family, messages: Sequence[Json], *, thinking: bool) -> str:
    """The prompt of a conversation."""
    told = switched(messages, family, thinking=thinking)
    arguments = {"enable_thinking": thinking, "thinking": thinking, **arguments_of(family, thinking=thinking)}
    try:
        return template(messages=[dict(one) for one in told], add_generation_prompt=True, **arguments)
    except TemplateError as error:
        return f"refused: {error}"


def controls(tokenizer: Tokenizer, text: str) -> Counter[int]:
    """The special tokens in a text."""
    known = len(tokenizer.get_added_tokens_decoder())
    first = tokenizer.get_vocab_size() - known
    return Counter(token for token in tokenizer.encode(text, add_special_tokens=False).ids if token >= first)


def stand_in(family: Family) -> Tokenizer:
    """A byte-level tokenizer to which everything that the family reads is a special token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens(
        [AddedToken(one, special=True, normalized=False) for one in injections.spellings(family)]
    )
    return tokenizer


if __name__ == "__main__":
    for line in rendered_families(int(sys.argv[1]) if len(sys.argv) > 1 else EACH):
        print(json.dumps(line), file=sys.stdout, flush=True)
