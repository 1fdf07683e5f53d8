"""Measure the content rules: false positives on clean lines, recall on planted ones, and the cost of clean text.

python -m benchmarks.content.measure                   the figures that stand in rules.py
python -m benchmarks.content.measure --lines FILE      false positives on a file of your own, one text a line
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.content.lines import clean_lines, clean_prompts, planted_lines, unnamed_numbers
from data_foundry.config import ContentChecks
from data_foundry.preprocessing.content import Reviewer
from data_foundry.preprocessing.content.rule import Measured
from data_foundry.preprocessing.content.rules import MAX_FALSE_POSITIVES_PER_10K, RULES
from data_foundry.preprocessing.text import normalize

SEEDS, CLEAN, PLANTED = range(6), 20_000, 200
UNNAMED = 10_000
ROUNDS = 7


def false_positives(lines: list[str], prompt: bool) -> tuple[Counter[str], dict[str, list[str]]]:
    """Return on how many lines each rule fired, with up to five of the lines."""
    reviewer = Reviewer(ContentChecks())
    fired: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    for line in lines:
        text = normalize(line).text
        for rule in {flag.rule for flag in reviewer.check(text, prompt)}:
            fired[rule] += 1
            examples.setdefault(rule, []).append(text)
    return fired, {rule: shown[:5] for rule, shown in examples.items()}


def recalled(rule: str, count: int, prompt: bool, seed: int = 0) -> tuple[int, list[str]]:
    """Return on how many planted lines a rule fired, with the lines that it missed.

    A mobile or landline may be found as the other, since both are one kind of number and get one placeholder.
    """
    reviewer = Reviewer(ContentChecks())
    right = {"mobile_number", "landline"} if rule in ("mobile_number", "landline") else {rule}
    lines = [normalize(line).text for line in planted_lines(rule, count, seed)]
    missed = [line for line in lines if right.isdisjoint(flag.rule for flag in reviewer.check(line, prompt))]
    return count - len(missed), missed


def measure(seeds: Iterable[int] = SEEDS, clean: int = CLEAN, planted: int = PLANTED) -> dict[str, Measured]:
    """Return the figures of every rule over `clean` and `planted` lines of each seed."""
    lines = [line for seed in seeds for line in clean_lines(clean, seed)]
    prompts = [line for seed in seeds for line in clean_prompts(clean, seed)]
    fired, _ = false_positives(lines, prompt=False)
    fired_prompts, _ = false_positives(prompts, prompt=True)
    figures = {}
    for rule in RULES:
        prompt = rule.group == "prompts"
        hits = fired_prompts if prompt else fired
        found = sum(recalled(rule.name, planted, prompt, seed)[0] for seed in seeds)
        figures[rule.name] = Measured(len(lines), hits[rule.name], planted * len(list(seeds)), found)
    return figures


def seconds_per_million(lines: list[str]) -> float:
    """Return the median CPU seconds that the checks of a million characters take."""
    reviewer = Reviewer(ContentChecks())
    rows = [normalize(line).text for line in lines]
    characters = sum(map(len, rows))
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for text in rows:
            reviewer.review({"text": text, "text_raw": text, "flags": [], "content": []}, spoken=False)
        times.append(time.process_time() - begin)
    return sorted(times)[ROUNDS // 2] / characters * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=Path)
    lines_of = parser.parse_args().lines
    if lines_of:
        lines = lines_of.read_text(encoding="utf-8").splitlines()
        fired, examples = false_positives(lines, prompt=False)
        print(f"{len(lines)} lines")
        for rule, count in sorted(fired.items()):
            print(f"{rule:24} {count:6}", *(f"\n    {line}" for line in examples[rule]))
        print(f"{seconds_per_million(lines):.3f} s CPU per million characters")
        return 0
    lines = clean_lines(CLEAN)
    print(f"{len(SEEDS)} times {len(lines)} clean lines and {PLANTED} planted lines for each rule")
    worst = 0.0
    print(f"{'rule':24} {'FP':>4} {'upper/10k':>9} {'planted':>8} {'found':>6} {'precision':>9}")
    for name, got in measure().items():
        upper = got.false_positives_per_10k
        worst = max(worst, upper)
        print(f"{name:24} {got.false_positives:4} {upper:9.2f} {got.planted:8} {got.found:6} {got.precision:9.3f}")
    fired, _ = false_positives(unnamed_numbers(UNNAMED), prompt=False)
    print(f"{UNNAMED} numbers of 9 to 18 random digits, which no word explains: flagged", dict(sorted(fired.items())))
    for group in ("no digits", "all"):
        some = [line for line in lines if group == "all" or not any(map(str.isdecimal, line))]
        print(f"{seconds_per_million(some):.3f} s CPU per million characters, {group} ({len(some)} lines)")
    return int(worst > MAX_FALSE_POSITIVES_PER_10K)


if __name__ == "__main__":
    sys.exit(main())
