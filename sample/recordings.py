"""Long recordings by regional speakers, with chunk times and nested metadata: the audiofolder of the sample Hub."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sample.corpus import Utterance, utterances
from sample.mess import write_lines
from sample.pool import LONGEST, Clip, Pool, in_pairs
from sample.speech import SPEAKING_RATE_HZ, PayloadCodec, Voice, degrade, encode, speak, voices

REGIONS: dict[str, frozenset[str]] = {
    "travancore": frozenset(
        ("Thiruvananthapuram", "Kollam", "Pathanamthitta", "Alappuzha", "Kottayam", "Idukki")
    ),
    "cochin": frozenset(("Ernakulam", "Thrissur")),
    "malabar": frozenset(("Palakkad", "Malappuram", "Kozhikode", "Wayanad", "Kannur", "Kasaragod")),
}  # fmt: skip
_DIALECT_CHUNKS, _PLAIN_CHUNKS, _LONG_CHUNKS = 6, 1, 13
_RECORDINGS = (2, 2, 2, 2, 1, 1)  # how many each of a region's six speakers made


@dataclass(frozen=True)
class Plan:
    """What one recording holds: its folder, speaker and lines, and whether its times were kept."""

    split: str
    speaker: Voice
    lines: tuple[Utterance, ...]
    number: int
    timed: bool = True


def write_recordings(folder: Path, train: Pool, validation: Pool) -> None:
    """Write ``Data/Train``, ``Data/Valid`` and ``metadata.jsonl``: 30 recordings of seven lines, and two of over 30 s.

    Each region has six speakers of its own, ten recordings and 70 timed chunks (one region 63, as one row is dropped);
    the two long ones have no times. Planted: a row whose file is missing, a file that no row names, a chunk that ends
    before it starts, noise tags in the unsanitised text.
    """
    rows: list[dict[str, Any]] = []
    for plan, (name, sound, row) in zip(plans := _plans(train, validation), in_pairs(_record, plans), strict=True):
        path = folder / "Data" / plan.split / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sound)
        rows.append(row)
    gone = dict(rows[4], file_name="Data/Train/0f3c2a9e-missing-0000-0000-000000000000_0.wav")
    rows.insert(9, gone)
    stray = rows.pop(17)  # its file stays, its row goes
    late = rows[2]["duration"]
    rows[2]["normalized"].append(
        {"start": late, "end": late - 1.5, "speaker_id": "", "text": rows[2]["verbatim"][0]["text"]}
    )
    assert stray["file_name"] not in {row["file_name"] for row in rows}
    write_lines([json.dumps(row, ensure_ascii=False) for row in rows], folder / "metadata.jsonl")


def _plans(train: Pool, validation: Pool) -> list[Plan]:
    lines = {
        split: {region: _by_region(split, count, region) for region in REGIONS}
        for split, count in (("train", 360), ("validation", 110))
    }
    plain = {"train": train, "validation": validation}
    plans: list[Plan] = []
    for region, districts in REGIONS.items():
        speakers = [
            (split, voice)
            for split in ("train", "validation")
            for voice in voices(split)
            if voice.district in districts
        ]
        for (split, voice), count in zip(speakers, _RECORDINGS, strict=True):
            for _ in range(count):
                said = [lines[split][region].pop() for _ in range(_DIALECT_CHUNKS)]
                said += [clip.utterance for clip in plain[split].speak(_PLAIN_CHUNKS, (voice,))]
                random.Random(said[0].text).shuffle(said)
                plans.append(Plan("Train" if split == "train" else "Valid", voice, tuple(said), len(plans)))
        if region != "cochin":
            said = [lines["train"][region].pop() for _ in range(_LONG_CHUNKS)]
            plans.append(Plan("Train", speakers[1][1], tuple(said), len(plans), timed=False))
    return plans


def _by_region(split: str, count: int, region: str) -> list[Utterance]:
    side = "train" if split == "train" else "validation"
    return [item for item in utterances("dialect", side, count, seed=41) if item.label == region]


def _record(plan: Plan) -> tuple[str, bytes, dict[str, Any]]:
    """Speak a plan's lines with pauses of 0.3-0.8 s over one telephone line: file name, payload, metadata row."""
    rng = np.random.default_rng([41, plan.number])
    codec, rate = _form(plan.number)
    pieces = [np.zeros(int(rng.uniform(0.2, 0.5) * SPEAKING_RATE_HZ), np.float32)]
    chunks: list[dict[str, Any]] = []
    speaker = f"S42{int(uuid.uuid5(uuid.NAMESPACE_OID, plan.speaker.id)) % 10**8:08d}"
    for clip in (Clip(line, plan.speaker, speak(line.text, plan.speaker)) for line in plan.lines):
        if clip.seconds > LONGEST:
            raise ValueError(f"a chunk of {clip.seconds:.2f} s is longer than {LONGEST} s: {clip.utterance.text}")
        start = sum(map(len, pieces)) / SPEAKING_RATE_HZ
        times = {"start": round(start, 3), "end": round(start + clip.seconds, 3)}
        chunks.append(times | {"speaker_id": speaker, "text": clip.utterance.text})
        pieces += [clip.samples, np.zeros(int(rng.uniform(0.3, 0.8) * SPEAKING_RATE_HZ), np.float32)]
    joined = np.concatenate(pieces)
    heard = degrade(joined, SPEAKING_RATE_HZ, "phone", rng)
    sound = encode(heard, SPEAKING_RATE_HZ, codec, rate)
    # Most names are a uuid and the leg of the call, some a bare number.
    leg = f"{uuid.UUID(bytes=rng.bytes(16))}_{plan.number % 2}"
    name = f"{leg if plan.number % 4 else 2814749767100000 + plan.number * 37}.wav"
    row = _metadata(plan, f"Data/{plan.split}/{name}", speaker, chunks, len(joined) / SPEAKING_RATE_HZ)
    return name, sound, row


def _form(number: int) -> tuple[PayloadCodec, int]:
    """Codec and rate by number: one recording in wide-band PCM, the others in mu-law and ADPCM by turns."""
    if number == 7:
        return "wav16", 16000
    return ("adpcm" if number % 2 else "mulaw"), 8000


def _metadata(plan: Plan, file_name: str, speaker: str, chunks: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    rng = random.Random(speaker)
    noisy = [dict(chunk) for chunk in chunks]
    if plan.number % 3 == 0:
        noisy[0]["text"] = f"<breathing> {noisy[0]['text']}"
        noisy[-1]["text"] = f"{noisy[-1]['text']} (<Persistent-noise-end>"
    kept = chunks if plan.timed else []
    return {
        "file_name": file_name,
        "sentence": " ".join(chunk["text"] for chunk in chunks),
        "verbatim": kept,
        "normalized": kept,
        "unsanitized_verbatim": noisy if plan.timed else [],
        "speaker_id": speaker,
        "scenario": rng.choice(("Extempore", "Conversation", "Read")),
        "task_name": rng.choice(("Customer care call", "Bill payment", "Utility complaint", "Recharge enquiry")),
        "gender": plan.speaker.gender.capitalize(),
        "age_group": rng.choice(("18-30", "30-45", "45-60", "60+")),
        "job_type": rng.choice(("White collar", "Blue collar", "Student", "Unemployed")),
        "qualification": rng.choice(("Upto 12th", "Undergrad and Grad.", "Post Grad.")),
        "area": rng.choice(("Rural", "Urban")),
        "district": plan.speaker.district,
        "state": "Kerala",
        "occupation": rng.choice(("Teacher", "Farmer", "Driver", "Shopkeeper", "Nurse", "Homemaker")),
        "verification_report": json.dumps({"decision": "accepted", "chunk_times": plan.timed}),
        "lang": "ml",
        "duration": round(seconds, 3),
    }
