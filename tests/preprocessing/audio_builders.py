"""Builders of audio for tests: tones, speech-like bursts, and payloads in every format."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_foundry.preprocessing.audio import decode
from data_foundry.preprocessing.segmentation import cut
from data_foundry.records import Rejected

SOUNDFILE_FORMATS = {
    "wav8": ("WAV", "PCM_U8"),
    "wav16": ("WAV", "PCM_16"),
    "wav24": ("WAV", "PCM_24"),
    "wav32": ("WAV", "PCM_32"),
    "float": ("WAV", "FLOAT"),
    "mulaw": ("WAV", "ULAW"),
    "alaw": ("WAV", "ALAW"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "extensible": ("WAVEX", "PCM_24"),
    "double": ("WAV", "DOUBLE"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_16"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "nist": ("NIST", "PCM_16"),
}


def tone(seconds: float, rate: int = 16_000, frequency: float = 440.0, amplitude: float = 0.5) -> np.ndarray:
    """A sine, float32, shape (n,)."""
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def encoded(samples: np.ndarray, rate: int, codec: str = "wav16") -> bytes:
    """A payload of samples, shape (n,) or (n, channels), in one of SOUNDFILE_FORMATS."""
    form, subtype = SOUNDFILE_FORMATS[codec]
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def through_ffmpeg(samples: np.ndarray, rate: int, name: str, folder: Path, *options: str) -> bytes:
    """A payload in a format that only ffmpeg writes; `name` is the file name whose suffix says which."""
    source, target = folder / "source.wav", folder / name
    soundfile.write(source, samples, rate, subtype="PCM_16")
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(source), *options, str(target)]
    subprocess.run(command, check=True, timeout=60)
    return target.read_bytes()


def peak_frequency(samples: np.ndarray, rate: int) -> float:
    """The strongest frequency in Hz, by the maximum of a windowed spectrum."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * rate / len(samples))


def level(samples: np.ndarray) -> float:
    """Root mean square in dB re full scale, edges left out."""
    edge = len(samples) // 10
    return float(10 * np.log10(np.mean(np.square(samples[edge:-edge], dtype=np.float64))))


def reason(payload: bytes | Path, **limits: float) -> str:
    """Why a payload is refused; a test fails where it is not, or without a detail for a person."""
    with pytest.raises(Rejected) as refusal:
        decode(payload, **limits)
    assert refusal.value.detail
    return refusal.value.reason


def bursts(spoken: float, silent: float, times: int) -> np.ndarray:
    """Voice-like harmonics with pauses: the detector hears the harmonics as speech."""
    voice = sum(tone(spoken, frequency=140 * k, amplitude=0.3 / k) for k in range(1, 20))
    voice = voice * (1 + 0.5 * tone(spoken, frequency=4, amplitude=1.0))
    pause = np.random.default_rng(0).normal(0, 1e-4, int(silent * 16_000)).astype(np.float32)
    return np.concatenate([np.concatenate([voice, pause]) for _ in range(times)]).astype(np.float32)


def segments(samples: np.ndarray, max_seconds: float) -> list[tuple[int, int]]:
    """A whole 16 kHz clip as (start, end) ranges of at most `max_seconds`, cut one after the other."""
    longest = int(max_seconds * 16_000)
    ranges, start = [], 0
    while len(samples) - start > longest:
        end = start + cut(samples[start : start + longest])
        ranges.append((start, end))
        start = end
    return [*ranges, (start, len(samples))]
