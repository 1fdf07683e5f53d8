"""The sample's voices: espeak-ng speakers, a telephone line, the payload formats of the real sets, and codec tokens.

Needs ``espeak-ng`` and ``ffmpeg`` on the path. Everything is seeded and repeats byte for byte with the same versions
of the two programs.
"""

from __future__ import annotations

import io
import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sample.codec import Codec, fitted_codec

__all__ = ["Codec", "Voice", "degrade", "encode", "fitted_codec", "resample", "speak", "voices"]

SPEAKING_RATE_HZ = 22050  # espeak-ng's own sampling rate
Channel = Literal["clean", "phone"]
PayloadCodec = Literal["wav16", "wav24", "mulaw", "adpcm", "flac", "mp3", "opus", "m4a"]


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker: an espeak-ng variant at a pitch (0-99) and a rate (words a minute), from a district."""

    id: str
    variant: str
    pitch: int
    rate: int
    gender: Literal["male", "female"]
    district: str


# variant, pitch, rate, gender, district; no variant stands on two sides.
_VOICES: dict[str, tuple[tuple[str, int, int, str, str], ...]] = {
    "base": (
        ("m1", 40, 170, "male", "Kottayam"), ("f2", 55, 175, "female", "Thrissur"), ("m3", 50, 185, "male", "Kannur"),
        ("f4", 60, 165, "female", "Kollam"), ("m7", 35, 160, "male", "Ernakulam"),
        ("f5", 50, 190, "female", "Palakkad"),
        ("klatt", 45, 175, "male", "Idukki"), ("Annie", 58, 170, "female", "Malappuram"),
        ("Alex", 42, 195, "male", "Thiruvananthapuram"), ("Diogo", 47, 165, "male", "Wayanad"),
        ("anika", 52, 180, "female", "Alappuzha"), ("max", 38, 180, "male", "Kasaragod"),
    ),
    "train": (
        ("f1", 50, 175, "female", "Thiruvananthapuram"), ("m2", 45, 170, "male", "Kollam"),
        ("Andy", 50, 180, "male", "Pathanamthitta"), ("Alicia", 62, 190, "female", "Alappuzha"),
        ("edward", 35, 165, "male", "Kottayam"), ("f3", 48, 180, "female", "Ernakulam"),
        ("m4", 55, 170, "male", "Thrissur"), ("steph", 60, 175, "female", "Ernakulam"),
        ("klatt2", 40, 180, "male", "Thrissur"), ("Gene", 46, 185, "male", "Ernakulam"),
        ("belinda", 55, 170, "female", "Kozhikode"), ("m5", 42, 175, "male", "Malappuram"),
        ("Marco", 50, 215, "male", "Kannur"), ("linda", 57, 180, "female", "Palakkad"),
    ),
    "validation": (
        ("m6", 44, 175, "male", "Thiruvananthapuram"), ("Andrea", 56, 170, "female", "Thrissur"),
        ("Henrique", 48, 180, "male", "Kasaragod"), ("steph2", 54, 175, "female", "Wayanad"),
    ),
    "test": (
        ("m8", 47, 170, "male", "Kollam"), ("aunty", 60, 175, "female", "Thiruvananthapuram"),
        ("Michael", 40, 180, "male", "Ernakulam"), ("steph3", 52, 170, "female", "Thrissur"),
        ("Hugo", 53, 175, "male", "Kozhikode"), ("klatt3", 38, 170, "male", "Kannur"),
    ),
}  # fmt: skip


def voices(side: str) -> tuple[Voice, ...]:
    """The speakers of a side; ``control`` speaks with the first four of ``base``, every other side has its own.

    Raises KeyError for an unknown side.
    """
    if side == "control":
        return voices("base")[:4]
    return tuple(
        Voice(f"{side}-{place:02d}-{variant.lower()}", variant, pitch, rate, gender, district)
        for place, (variant, pitch, rate, gender, district) in enumerate(_VOICES[side], start=1)
    )


def speak(text: str, voice: Voice) -> np.ndarray:
    """Speak a Malayalam text: mono float32 at 22 050 Hz, silence at both ends trimmed to at most 60 ms.

    Raises RuntimeError when espeak-ng fails or is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        command = ["espeak-ng", "-v", f"ml+{voice.variant}", "-p", str(voice.pitch), "-s", str(voice.rate)]
        _run([*command, "-w", str(path), "--", text])
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(samples) > 0.005)
    if not len(loud):
        return samples
    margin = int(0.06 * SPEAKING_RATE_HZ)
    return samples[max(loud[0] - margin, 0) : loud[-1] + margin]


def degrade(samples: np.ndarray, rate: int, kind: Channel, rng: np.random.Generator) -> np.ndarray:
    """Pass a signal through a channel and return it at its own rate and length; ``clean`` changes nothing.

    ``phone`` is a telephone line: a 300-3400 Hz band at 8 kHz, pink-tinged noise 10-25 dB below speech, 8-bit mu-law.
    """
    if kind == "clean":
        return samples.astype(np.float32)
    narrow = resample(samples, rate, 8000)
    spectrum = np.fft.rfft(narrow)
    frequency = np.fft.rfftfreq(len(narrow), 1 / 8000)
    band = 1 / (1 + (300 / np.maximum(frequency, 1)) ** 6) / (1 + (frequency / 3400) ** 12)
    narrow = np.fft.irfft(spectrum * band, len(narrow))
    noise = np.fft.rfft(rng.standard_normal(len(narrow))) / np.sqrt(np.maximum(frequency, 50))
    noise = np.fft.irfft(noise, len(narrow))
    snr = rng.uniform(10, 25)
    noise *= np.sqrt(np.mean(narrow**2) / max(np.mean(noise**2), 1e-12)) * 10 ** (-snr / 20)
    line = narrow + noise
    line *= min(1.0, 0.97 / max(np.abs(line).max(), 1e-9))
    compressed = np.sign(line) * np.log1p(255 * np.abs(line)) / np.log(256)
    compressed = np.round(compressed * 127) / 127
    line = np.sign(compressed) * (256 ** np.abs(compressed) - 1) / 255
    return resample(line, 8000, rate)[: len(samples)].astype(np.float32)


def resample(samples: np.ndarray, rate: int, target_rate: int) -> np.ndarray:
    """Change the sampling rate of a mono signal (float in, float32 out)."""
    if rate == target_rate:
        return samples.astype(np.float32)
    import soxr

    return soxr.resample(samples.astype(np.float32), rate, target_rate)


_WAVE_CODECS = {"wav16": "pcm_s16le", "wav24": "pcm_s24le", "mulaw": "pcm_mulaw", "adpcm": "adpcm_ima_wav"}
_FORMS: dict[str, list[str]] = {  # opus only knows 8/12/16/24/48 kHz
    "mp3": ["-f", "mp3", "-c:a", "libmp3lame", "-write_xing", "0", "-id3v2_version", "0"],
    "opus": ["-f", "ogg", "-c:a", "libopus", "-b:a", "20k", "-application", "voip", "-serial_offset", "1"],
    "m4a": ["-f", "ipod", "-c:a", "aac", "-b:a", "32k"],
    "flac": ["-f", "flac", "-c:a", "flac", "-sample_fmt", "s16", "-compression_level", "8"],
}


def encode(
    samples: np.ndarray, rate: int, codec: PayloadCodec, target_rate: int | None = None, channels: int = 1
) -> bytes:
    """Write a mono signal as a sound file: the payload's bytes at ``target_rate`` Hz with ``channels`` equal channels.

    Raises KeyError for an unknown codec and RuntimeError when ffmpeg fails or is missing.
    """
    target_rate = target_rate or rate
    form = list(_FORMS.get(codec) or ["-f", "wav", "-c:a", _WAVE_CODECS[codec]])
    if codec == "mp3":
        form += ["-b:a", "16k" if target_rate <= 8000 else "32k"]
    signal = np.clip(resample(samples, rate, target_rate), -1, 1)
    if codec == "wav16":
        return _pcm16_wave(signal, target_rate, channels)
    raw = (np.repeat(signal, channels) * 32767).round().astype("<i2").tobytes()
    source = ["-f", "s16le", "-ar", str(target_rate), "-ac", str(channels), "-i", "pipe:0"]
    exact = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "-threads", "1"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "payload"
        _run(["ffmpeg", "-v", "error", "-nostdin", *source, *exact, *form, "-y", str(path)], raw)
        return path.read_bytes()


def silence(seconds: int, rate: int) -> bytes:
    """Digital silence as FLAC in its largest blocks: two hours take some ten kilobytes. Raises as `encode` does."""
    source = ["-f", "lavfi", "-i", f"anullsrc=r={rate}:cl=mono", "-t", str(seconds)]
    exact = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "-threads", "1"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "payload"
        _run(
            [
                "ffmpeg",
                "-v",
                "error",
                "-nostdin",
                *source,
                *exact,
                "-f",
                "flac",
                "-frame_size",
                "65535",
                "-y",
                str(path),
            ]
        )
        return path.read_bytes()


def _pcm16_wave(signal: np.ndarray, rate: int, channels: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((np.repeat(signal, channels) * 32767).round().astype("<i2").tobytes())
    return file.getvalue()


def _run(command: list[str], data: bytes | None = None) -> None:
    try:
        done = subprocess.run(command, input=data, capture_output=True, check=False)
    except FileNotFoundError as missing:
        raise RuntimeError(f"{command[0]} is not installed; the sample is made with it") from missing
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} ... failed: {done.stderr.decode(errors='replace').strip()}")
