"""What routing is worth on every recorded constellation, held out: `pointsman evaluate` on each, and its table.

    POINTSMAN_OUTCOMES=FOLDER python benchmarks/bench_routing.py [NAME ...] [--resamples 200] [--write]

Reads FOLDER/constellations.yaml. Each constellation is evaluated at quality 0.99 by `work`, and by list prices too
where it has them and people host its models. Where score.py lies in the folder that POINTSMAN_CHECKS names (absent:
FOLDER/../checks; it needs pandas), every decision file is scored by it as well and its figures are those in the table.
--write puts the table into docs/results.md. Figures, by constellation and price: skill_mean, delta_points,
chosen_skill, saved_against_last, promised_loss_error, apgr.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from figures_file import OUT, write

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results.md"
BEGIN, END = "<!-- routing: begin -->", "<!-- routing: end -->"
HOSTED = ("qwen3", "medagents")
KEPT = (
    "skill_mean",
    "apgr_probed",
    "delta_points",
    "chosen_skill",
    "saved_against_last",
    "promised_loss_error",
    "apgr",
    "dear_share",
)
MONEY = ("skill_mean", "chosen_skill", "saved_against_last")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="constellations; none: all")
    parser.add_argument("--resamples", type=int, default=200, help="of the intervals")
    parser.add_argument("--write", action="store_true", help="put the table into docs/results.md")
    args = parser.parse_args()
    outcomes = os.environ.get("POINTSMAN_OUTCOMES")
    if outcomes is None:
        raise SystemExit("set POINTSMAN_OUTCOMES to the folder of recorded outcomes")
    folder = Path(outcomes)
    constellations = yaml.safe_load((folder / "constellations.yaml").read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = []
    for name in args.names or list(constellations):
        for price in prices(name, constellations[name]):
            rows.append(one(folder, constellations[name], name, price, args.resamples))
            print(line(rows[-1]), flush=True)
    figures = {f"{r['name']}_{r['price']}_{key}": r[key] for r in rows for key in KEPT if r.get(key) is not None}
    raw = OUT / "routing_rows.json"
    raw.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    print(f"written to {write('routing', figures, raw)}")
    if args.write:
        put(table(rows), BEGIN, END)


def prices(name: str, constellation: dict[str, Any]) -> list[str]:
    """By which prices a constellation is looked at."""
    listed = constellation.get("cost") != "calls" and name.startswith(HOSTED)
    return ["work", "list"] if listed else ["work"]


def one(folder: Path, constellation: dict[str, Any], name: str, price: str, resamples: int) -> dict[str, Any]:
    """Evaluate one constellation, and score its decisions."""
    OUT.mkdir(exist_ok=True)
    figures, decisions = OUT / f"routing_{name}_{price}.json", OUT / f"routing_{name}_{price}.parquet"
    command = [str(Path(sys.executable).parent / "pointsman"), "evaluate"]
    command += ["--constellation", f"{folder / 'constellations.yaml'}:{name}", "--objective", "quality=0.99"]
    command += ["--price", price, "--resamples", str(resamples), "--json", str(figures), "--decisions", str(decisions)]
    start = time.time()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    report = json.loads(figures.read_text(encoding="utf-8"))
    ours = report["policies"]["pointsman"]
    chosen = ours["chosen"]
    row: dict[str, Any] = {
        "name": name,
        "price": price,
        "n": report["n_queries"],
        "best_fixed": report["best_fixed"]["name"],
        "verdict": report["verdict"]["verdict"],
        "recommended": report["verdict"]["recommended"],
        "skill_mean": ours["skill_mean"],
        "delta_points": 100 * chosen["accuracy_delta"],
        "chosen_skill": chosen["skill"],
        "saved_against_last": chosen["saved_against_last"],
        "promised_loss_error": 100 * (chosen["promised_loss"] + chosen["accuracy_delta"]),
        "apgr": ours["apgr"],
        "dear_share": chosen["dear_share"],
        "apgr_probed": ours["apgr_probed"],
        "text_only_apgr": report["policies"]["text_only"]["apgr"],
        "seconds": round(time.time() - start, 1),
    }
    return row | scored(folder, constellation, name, price, decisions, resamples)


def scored(
    folder: Path, constellation: dict[str, Any], name: str, price: str, decisions: Path, resamples: int
) -> dict[str, Any]:
    """The scorer's figures, where it is there."""
    script = Path(os.environ.get("POINTSMAN_CHECKS", folder.parent / "checks")) / "score.py"
    if not script.is_file() or importlib.util.find_spec("pandas") is None:
        return {}
    files = [str(folder / constellation["file"]), str(folder / "constellations.yaml"), name, str(decisions)]
    command = [sys.executable, str(script), *files, "--price", price, "--boot", str(resamples)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(told)
    return {key: found[key] for key in (*KEPT, "skill_mean_ci") if key in found}


def line(row: dict[str, Any]) -> str:
    """One row of the table, in Markdown."""

    def cell(key: str) -> str:
        value = row.get(key)
        if value is None:
            return "-"
        if key in MONEY:
            return f"{100 * value:+.0f} %" if key != "saved_against_last" else f"{100 * value:.0f} %"
        return f"{value:+.2f}" if key in ("delta_points", "promised_loss_error") else f"{value:.3f}"

    ci = row.get("skill_mean_ci")
    skill = cell("skill_mean") + (f" ({100 * ci[0]:+.0f} to {100 * ci[1]:+.0f})" if ci else "")
    cells = [f"{row['name']}, {row['price']}", f"{row['n']:,}", skill, cell("chosen_skill"), cell("delta_points")]
    cells += [
        cell("saved_against_last"),
        cell("promised_loss_error"),
        cell("apgr_probed"),
        row["verdict"],
        row["recommended"],
    ]
    return f"| {' | '.join(cells)} |"


def table(rows: list[dict[str, Any]]) -> str:
    """Every row under its head."""
    heads = [
        "constellation, price",
        "questions",
        "skill (95 %)",
        "skill at chosen",
        "points at chosen",
        "saved vs last",
    ]
    heads += ["promise less loss", "APGR, probes", "verdict", "recommended"]
    ruler = ["---", *["--:"] * 7, "---", "---"]
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'|'.join(ruler)}|", *(line(row) for row in rows)])


def put(text: str, begin: str, end: str) -> None:
    """Between these marks of docs/results.md. Ends with a sentence where they are not there."""
    content = RESULTS.read_text(encoding="utf-8")
    if begin not in content or end not in content:
        raise SystemExit(f"{RESULTS.relative_to(ROOT)} has no {begin} … {end}")
    head, _, rest = content.partition(begin)
    _, _, tail = rest.partition(end)
    RESULTS.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}", encoding="utf-8")
    print(f"{RESULTS.relative_to(ROOT)} has the table")


if __name__ == "__main__":
    main()
