"""What is looked at of a call and of a training row alike: the figures whose distributions drift is told by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_foundry.engines import EngineSpec
from data_foundry.engines.spec import Task
from data_foundry.records import Decibels, Rejected
from data_foundry.serving.watch.buckets import bucket

if TYPE_CHECKING:
    from data_foundry.preprocessing.audio import Samples


@dataclass(frozen=True)
class Feature:
    """One figure of a call: its unit, the edges of its buckets (None: its values are labels), and what to expect."""

    name: str
    meaning: str
    unit: str
    edges: tuple[float, ...] | None
    expected: str
    transcribed: str = ""
    """What to expect where it is counted of transcripts, which a model wrote."""

    @property
    def places(self) -> tuple[str, ...] | None:
        """Names of the buckets from low to high; None for labels."""
        return None if self.edges is None else tuple(str(place) for place in range(len(self.edges) + 1))

    def place(self, value: float) -> str:
        """Return the name of the bucket that a value lies in."""
        assert self.edges is not None
        return str(bucket(value, self.edges))


FEATURES: dict[str, Feature] = {
    feature.name: feature
    for feature in (
        Feature(
            "seconds", "how long a caller spoke", "s", (0.5, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30),
            "read prompts are of one length, callers say one word or ten sentences: a shift is usual at first",
        ),
        Feature(
            "snr", "speech above the noise", "dB", (-15, -10, -5, 0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 60),
            "studio readings are cleaner than streets and phone lines: a shift downwards is usual at first",
        ),
        Feature(
            "characters", "length of the text", "characters",
            (5, 10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 400, 800),
            "headlines and reviews are longer than what is said to a phone line",
            "a model that stops early or repeats itself shifts it as callers do who say less or more",
        ),
        Feature(
            "malayalam_ratio", "share of Malayalam letters in the text", "share",
            (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99),
            "training keeps mostly Malayalam letters; callers mix in English, and write Malayalam in Latin letters",
            "a model may write English words in Malayalam letters, or the other way round, whatever was said",
        ),
        Feature(
            "label", "which label was answered", "label", None,
            "training sets are balanced by hand; what callers want is not",
        ),
    )
}  # fmt: skip

_OF_TASK: dict[Task, tuple[str, ...]] = {
    "speech-to-text": ("seconds", "snr", "characters", "malayalam_ratio"),
    "audio-classification": ("seconds", "snr", "label"),
    "text-classification": ("characters", "malayalam_ratio", "label"),
    "text-to-text": ("characters", "malayalam_ratio"),
    "text-to-codes": ("characters", "malayalam_ratio"),
}
_OF_ANSWERS: dict[Task, tuple[str, ...]] = {"speech-to-text": ("characters", "malayalam_ratio")}
LABELS = 200
"""So many labels of one adapter are told apart."""


def features_of(task: Task) -> tuple[str, ...]:
    """Return the names of the features that a task's calls have."""
    return _OF_TASK[task]


def is_of_answers(name: str, task: Task) -> bool:
    """Return whether a feature is counted of what a model answered, and not of what a caller brought."""
    return name == "label" or name in _OF_ANSWERS.get(task, ())


def columns_of(spec: EngineSpec) -> tuple[str, ...]:
    """Return the gold columns that a training row's features are read from, sound apart."""
    if spec.task == "audio-classification":
        return ("duration", spec.label)
    if spec.task == "speech-to-text":
        return ("duration", "text")
    if spec.task == "text-classification":
        return ("text", spec.label)
    return ("text", "translation", "direction") if spec.task == "text-to-text" else ("text",)


def of_training_row(spec: EngineSpec, row: Mapping[str, Any]) -> dict[str, str]:
    """Return a gold row's bucket by feature; the signal-to-noise ratio is measured elsewhere, it needs the sound."""
    found: dict[str, str] = {}
    wanted = features_of(spec.task)
    if "seconds" in wanted and row["duration"] is not None:
        found["seconds"] = FEATURES["seconds"].place(row["duration"])
    if "characters" in wanted:
        found |= of_text(said(row))
    if "label" in wanted and row[spec.label]:
        found["label"] = str(row[spec.label])
    return found


def said(row: Mapping[str, Any]) -> str | None:
    """Return the text that a model reads in a row, which of a pair is the side to translate."""
    text: str | None = row.get("translation") if row.get("direction") == "en-ml" else row.get("text")
    return text


def of_text(text: str | None) -> dict[str, str]:
    """Return the buckets of a text's length and of its share of Malayalam."""
    from data_foundry.preprocessing.script import malayalam_ratio

    if not text:
        return {}
    return {
        "characters": FEATURES["characters"].place(len(text)),
        "malayalam_ratio": FEATURES["malayalam_ratio"].place(malayalam_ratio(text)),
    }


def of_sound(payload: bytes) -> dict[str, str]:
    """Return the buckets of a clip's length and noise; empty for what is no 16 kHz mono sound."""
    from data_foundry.finetuning.tasks.speech import decode_audio
    from data_foundry.records import SAMPLE_RATE

    try:
        samples = decode_audio({"audio": {"bytes": payload}})
    except Rejected:
        return {}
    found = {"seconds": FEATURES["seconds"].place(len(samples) / SAMPLE_RATE)}
    ratio = noise_of(samples)
    return found if ratio is None else {**found, "snr": FEATURES["snr"].place(ratio)}


def noise_of(samples: Samples) -> Decibels | None:
    """Return the signal-to-noise ratio of 16 kHz samples as phase 2 measures it; None where it can't be told."""
    from data_foundry.preprocessing.loudness import active_level, frame_powers, sound_of
    from data_foundry.preprocessing.noise import snr

    sound, _ = sound_of(samples)
    active = active_level(sound)
    return None if active is None else snr(frame_powers(sound), active.level)
