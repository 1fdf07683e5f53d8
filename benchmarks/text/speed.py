"""Time the text rules against other normalisers on one core, interleaved; prints a table of characters a second.

    python -m benchmarks.text.speed [--rows 28000] [--rounds 5]

Every way gets the same rows in the same process, in turn, so that a slow moment of the machine hits all of them. What
is measured is the CPU time of the process; the table gives the median of the rounds, and the median over the rounds of
how many times as long phase 2's three together took as the way of the row.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
import unicodedata
from collections.abc import Callable

from benchmarks.text.corpus import rows
from data_foundry.preprocessing.text import (
    fidelity,
    is_well_formed,
    malayalam_ratio,
    normalize,
    scoring_form,
    script_counts,
    text_flags,
)

_REPLACEMENTS = (
    ("ന്\u200d", "ൻ"), ("ര്\u200d", "ർ"), ("ല്\u200d", "ൽ"), ("ള്\u200d", "ൾ"), ("ണ്\u200d", "ൺ"), ("ൻ്റ", "ന്റ"), ("ൌ", "ൗ"),
    ("ു്", "്"), ("“", '"'), ("”", '"'), ("‘", "'"), ("’", "'"), ("–", "-"), ("…", "..."), ("\u00a0", " "), ("\ufeff", ""),
)  # fmt: skip


def whole(text: str) -> None:
    """Do what phase 2 does with every text: normal form, ratio and well-formedness."""
    normal = normalize(text).text
    script_counts(normal)
    is_well_formed(normal)


def with_flags(text: str) -> None:
    """Do the same, and flags and fidelity as well."""
    normal = normalize(text)
    counts = script_counts(normal.text)
    is_well_formed(normal.text)
    text_flags(normal, counts)
    fidelity(text, normal)


def replaced(text: str) -> str:
    """Replace strings one after the other and compose: the plain way, with the commonest of the rules only."""
    for before, after in _REPLACEMENTS:
        text = text.replace(before, after)
    return unicodedata.normalize("NFC", text)


def looped_ratio(text: str) -> float:
    """Compute a ratio as is common: characters of the block over letters, in a loop."""
    letters = sum(1 for char in text if char.isalpha() or "\u0d00" <= char <= "\u0d7f")
    return sum(1 for char in text if "\u0d00" <= char <= "\u0d7f") / max(1, letters)


def ways() -> dict[str, Callable[[str], object]]:
    """Return what is timed, by name."""
    from indicnlp.normalize.indic_normalize import IndicNormalizerFactory

    indic = IndicNormalizerFactory().get_normalizer("ml")

    def indic_and_loop(text: str) -> None:
        looped_ratio(indic.normalize(text))

    return {
        "normalise + ratio + well-formedness": whole,
        "the same + flags + fidelity": with_flags,
        "normalise": normalize,
        "ratio": malayalam_ratio,
        "well-formedness": is_well_formed,
        "scoring form": scoring_form,
        "indic-nlp-library, normalise": indic.normalize,
        "indic-nlp-library + ratio in a loop": indic_and_loop,
        "16 str.replace + NFC": replaced,
        "NFC alone": lambda text: unicodedata.normalize("NFC", text),
        "ratio in a loop": looped_ratio,
    }


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=28_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    texts = rows(arguments.rows)
    characters = sum(map(len, texts))
    changed = sum(normalize(text).text != text for text in texts)
    print(f"{len(texts)} rows, {characters:,} characters, {sum(len(t.encode()) for t in texts):,} bytes of UTF-8")
    print(f"{changed / len(texts):.0%} of the rows change\n")
    named = ways()
    seconds: dict[str, list[float]] = {name: [] for name in named}
    for _ in range(arguments.rounds):
        for name, way in named.items():
            gc.collect()
            start = time.process_time()
            for text in texts:
                way(text)
            seconds[name].append(time.process_time() - start)
    ours = seconds["normalise + ratio + well-formedness"]
    print("| what | million characters/s, median | lowest | highest | the first row takes, times as long |")
    print("|---|---|---|---|---|")
    for name, measured in seconds.items():
        rates = sorted(characters / second / 1e6 for second in measured)
        ratio = statistics.median(own / other for own, other in zip(ours, measured, strict=True))
        print(f"| {name} | {statistics.median(rates):.1f} | {rates[0]:.1f} | {rates[-1]:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
