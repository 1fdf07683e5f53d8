"""The three repositories with sound: telephone clips, long regional recordings, speech with English."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sample.corpus import Utterance
from sample.mess import fresh_repository, legacy_chillus, write_parquet
from sample.pool import Clip, Pool, in_pairs
from sample.recordings import write_recordings
from sample.speech import SPEAKING_RATE_HZ, Channel, PayloadCodec, degrade, encode, silence, speak, voices

TELEPHONE = "ayush-shunyalabs/malayalam-speech-dataset"
WITH_ENGLISH = "Be-win/malayalam-speech-with-english-translation"
INDICVOICES = "CXDuncan/Malayalam-IndicVoices"

_SUFFIX = {"wav16": "wav", "wav24": "wav", "mulaw": "wav", "flac": "flac", "mp3": "mp3", "opus": "opus", "m4a": "m4a"}
# Of 300 telephone clips: codec, sampling rate, channels, and what the speech went through.
_FORMS: tuple[tuple[int, PayloadCodec, int, int, Channel], ...] = (
    (40, "mulaw", 8000, 1, "phone"), (60, "mp3", 8000, 1, "phone"), (96, "opus", 8000, 1, "phone"),
    (4, "wav16", 8000, 1, "phone"), (4, "flac", 8000, 1, "phone"), (48, "opus", 16000, 1, "phone"),
    (3, "flac", 16000, 1, "clean"), (18, "mp3", 22050, 1, "phone"), (12, "mp3", 44100, 2, "clean"),
    (11, "opus", 48000, 1, "clean"), (1, "wav24", 16000, 1, "phone"), (1, "flac", 44100, 1, "clean"),
    (1, "wav16", 16000, 2, "phone"), (1, "wav16", 22050, 1, "clean"),
)  # fmt: skip
_TELEPHONE_CARD = """
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: validation
    path: data/validation-*
  - split: test
    path: data/test-*
"""
_WITH_ENGLISH_CARD = """
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
"""


def write_telephone_speech(datasets: Path, train: Pool, validation: Pool, test: Pool) -> None:
    """Write the telephone set: about 300/40/80 clips with a transcript, no speaker, in every payload format and fault.

    The published splits share no voice and no text, but for two texts of ``test`` that are planted in ``train``.
    """
    folder = fresh_repository(datasets, TELEPHONE, _TELEPHONE_CARD)
    held = test.speak(78, voices("test"))
    clips = train.speak(286, voices("train"))
    clips += [
        Clip(held[place].utterance, voice, speak(held[place].utterance.text, voice))
        for place, voice in zip((11, 42), voices("train"), strict=False)
    ]
    rows = _payload_rows(clips, "train", seed=101)
    _untidy_transcripts(rows)
    rows += _broken_rows(train.speak(16, voices("train")))
    random.Random("telephone").shuffle(rows)
    heard = _payload_rows(held, "test", seed=103)
    heard[20]["transcript"] = None
    heard[55]["audio"]["bytes"] = heard[55]["audio"]["bytes"][:200]
    checked = _payload_rows(validation.speak(40, voices("validation")), "validation", seed=102)
    third = -(-len(rows) // 3)
    shards = {f"train-{part:05d}-of-00003": rows[part * third : (part + 1) * third] for part in range(3)}
    shards["train-00002-of-00003"] += _ill_timed_rows()
    shards |= {"validation-00000-of-00001": checked, "test-00000-of-00001": heard}
    for name, part in shards.items():
        _write_audio(part, ("transcript",), folder / "data" / f"{name}.parquet")


def write_speech_with_english(datasets: Path, pool: Pool) -> list[Utterance]:
    """Write the speech-translation set: 150 wide-band clips with Malayalam and English; returns the texts spoken.

    Planted: English that is missing, empty or Malayalam, and a duplicate.
    """
    folder = fresh_repository(datasets, WITH_ENGLISH, _WITH_ENGLISH_CARD)
    clips = pool.speak(149, voices("train"))

    def row(numbered: tuple[int, Clip]) -> dict[str, Any]:
        place, clip = numbered
        codec: PayloadCodec = "mp3" if place % 5 == 2 else "opus"
        payload = encode(clip.samples, SPEAKING_RATE_HZ, codec, 16000)
        audio = {"bytes": payload, "path": f"{place:06d}.{_SUFFIX[codec]}"}
        return {"audio": audio, "text": clip.utterance.text, "translation": clip.utterance.english}

    rows = in_pairs(row, enumerate(clips))
    for place in (17, 60, 111):
        rows[place]["translation"] = rows[place]["text"]
    rows[33]["translation"], rows[90]["translation"] = "", None
    for place in (8, 70, 120):
        rows[place]["text"] = legacy_chillus(rows[place]["text"])
    rows.append(dict(rows[5]))
    for part in range(2):
        name = f"train-{part:05d}-of-00002.parquet"
        _write_audio(rows[part * 75 : (part + 1) * 75], ("text", "translation"), folder / "data" / name)
    return [clip.utterance for clip in clips]


def write_indicvoices(datasets: Path, train: Pool, validation: Pool) -> None:
    """Write the audiofolder of regional recordings: see :func:`sample.recordings.write_recordings`."""
    write_recordings(fresh_repository(datasets, INDICVOICES), train, validation)


def _payload_rows(clips: list[Clip], split: str, seed: int) -> list[dict[str, Any]]:
    forms = [form for form in _FORMS for _ in range(form[0])]
    random.Random(seed).shuffle(forms)

    def row(numbered: tuple[int, Clip]) -> dict[str, Any]:
        place, clip = numbered
        _, codec, rate, channels, line = forms[place % len(forms)]
        heard = degrade(clip.samples, SPEAKING_RATE_HZ, line, np.random.default_rng([seed, place]))
        payload = encode(heard, SPEAKING_RATE_HZ, codec, rate, channels)
        path = f"{split}_{place:06d}.{_SUFFIX[codec]}"
        return {"audio": {"bytes": payload, "path": path}, "transcript": clip.utterance.text}

    return in_pairs(row, enumerate(clips))


def _untidy_transcripts(rows: list[dict[str, Any]]) -> None:
    """Noise tags, legacy chillus, stray blanks and joiners, a missing path: the sound stays good."""
    tags = ("<breathing> {}", "{} <Persistent-noise-end>", "(<Persistent-noise-start> {}", "[laugh] {}", "{} <unk>")
    for place, tag in zip(range(12, 280, 40), (*tags, tags[0], tags[1]), strict=False):
        rows[place]["transcript"] = tag.format(rows[place]["transcript"])
    for place in range(5, len(rows), 16):
        rows[place]["transcript"] = legacy_chillus(rows[place]["transcript"])
    for place in (31, 131):
        rows[place]["transcript"] = f"  {rows[place]['transcript'].replace(' ', '   ', 1)}\ufeff "
    for place in (64, 164):
        rows[place]["audio"]["path"] = None


def _broken_rows(clips: list[Clip]) -> list[dict[str, Any]]:
    """Sixteen rows with one fault each, most of them in the payload."""
    rng = np.random.default_rng(104)
    rate = SPEAKING_RATE_HZ
    at_8k = [degrade(clip.samples, rate, "phone", rng) for clip in clips]

    def wav(place: int) -> bytes:
        return encode(at_8k[place], rate, "wav16", 8000)

    loud = np.clip(clips[7].samples * 30, -0.99, 0.99)
    said = [clip.utterance.text for clip in clips]
    caller = replace(voices("train")[1], rate=250)
    number = "നമ്പർ ഒമ്പത് പൂജ്യം പൂജ്യം പൂജ്യം പൂജ്യം പൂജ്യം പൂജ്യം പൂജ്യം പൂജ്യം ഒന്ന്"
    faults: tuple[tuple[str, bytes, str | None], ...] = (
        ("call.m4a", encode(at_8k[0], rate, "m4a", 16000), said[0]),
        ("cut.wav", wav(1)[: len(wav(1)) * 2 // 5], said[1]),
        ("cut.flac", encode(at_8k[2], rate, "flac", 8000)[:9000], said[2]),
        ("empty.wav", b"", said[3]),
        ("header.wav", encode(np.zeros(0, np.float32), rate, "wav16", 8000), said[4]),
        ("noise.wav", rng.bytes(6000), said[5]),
        ("silence.wav", encode(np.zeros(2 * rate, np.float32), rate, "mulaw", 8000), said[6]),
        ("clipped.wav", encode(loud, rate, "mulaw", 8000), said[7]),
        ("short.wav", encode(at_8k[8][: rate // 2], rate, "mulaw", 8000), f"{said[8]} {said[9]} {said[10]}"),
        ("null.wav", encode(at_8k[9], rate, "mulaw", 8000), None),
        ("blank.wav", encode(at_8k[10], rate, "mulaw", 8000), ""),
        ("spaces.wav", encode(at_8k[11], rate, "mulaw", 8000), "   "),
        ("english.wav", encode(at_8k[12], rate, "mulaw", 8000), clips[12].utterance.english),
        ("tag_only.wav", encode(at_8k[13], rate, "mulaw", 8000), "<Persistent-noise-start>"),
        ("pii.wav", encode(speak(number, caller), rate, "mulaw", 8000), "നമ്പർ 90000 00001"),
        ("dc.wav", encode(np.clip(at_8k[15] + 0.4, -1, 1), rate, "mulaw", 8000), said[15]),
    )
    return [{"audio": {"bytes": sound, "path": path}, "transcript": text} for path, sound, text in faults]


def _ill_timed_rows() -> list[dict[str, Any]]:
    """Three rows whose length is the fault: a click, ten seconds of speech for one word, and two hours of a held line.

    They stand behind all others and say texts of their own, so that no other row moves for them.
    """
    rate, voice = SPEAKING_RATE_HZ, voices("train")[2]
    sentence = speak("നിങ്ങളുടെ കോൾ ഞങ്ങൾക്ക് വിലപ്പെട്ടതാണ്, ദയവായി കാത്തിരിക്കൂ", voice)
    click = degrade(speak("ശരി", voice)[: rate // 6], rate, "phone", np.random.default_rng(105))
    held = degrade(np.tile(sentence, 3), rate, "phone", np.random.default_rng(106))
    faults = (
        ("click.wav", encode(click, rate, "mulaw", 8000), "ശരി"),
        ("held.mp3", encode(held, rate, "mp3", 8000), "ശരി"),
        ("hours.flac", silence(7260, 8000), "ദയവായി കാത്തിരിക്കൂ"),
    )
    return [{"audio": {"bytes": sound, "path": path}, "transcript": text} for path, sound, text in faults]


def _write_audio(rows: list[dict[str, Any]], texts: tuple[str, ...], path: Path) -> None:
    import pyarrow as pa

    audio = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("audio", audio), *((name, pa.string()) for name in texts)])
    features = {"audio": {"_type": "Audio"}} | {name: {"dtype": "string", "_type": "Value"} for name in texts}
    write_parquet(rows, schema, path, features)
