"""Trains the five tiny bases of the sample hub and writes them as ordinary transformers checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from sample.base_stt import build_stt
from sample.base_text import SENTIMENT, TOPIC, build_classifier
from sample.base_translation import build_translation
from sample.base_tts import build_tts

BASES: dict[str, Callable[[Path], dict[str, float]]] = {
    "tiny-whisper-ml": build_stt,
    "tiny-bert-topic-ml": lambda root: build_classifier(root, TOPIC),
    "tiny-bert-sentiment-ml": lambda root: build_classifier(root, SENTIMENT),
    "tiny-t5-ml-en": build_translation,
    "tiny-llama-codec-ml": build_tts,
}


def build(root: Path, only: set[str] | None = None) -> None:
    """Train the bases (all, or those named in `only`) into `root`/models/data-foundry/ and print their figures.

    Trained on base-side texts and voices alone, on one thread, seeded. The whole took about 47 CPU minutes on a busy
    machine of two cores. Raises ValueError for a name that is no base.
    """
    unknown = sorted((only or set()) - set(BASES))
    if unknown:
        raise ValueError(f"no such base: {', '.join(unknown)}; there are {', '.join(BASES)}")
    for name, make in BASES.items():
        if only is None or name in only:
            started = time.monotonic()
            figures = make(root)
            print(f"{name}: {figures} ({time.monotonic() - started:.0f} s)", flush=True)
