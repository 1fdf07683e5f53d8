"""Hold the audio measures against known signals and real speech, and count what they cost.

    python benchmarks/quality/validate.py SPEECH.jsonl

SPEECH.jsonl has one clip a line: {"audio": path beside the file, "text": transcript, "speaker": name}.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from candidates import stnr, wada
from mixtures import NOISES, Samples, mixture, noise

from data_foundry.config import AudioGates
from data_foundry.preprocessing import loudness
from data_foundry.preprocessing.bandwidth import bandwidth
from data_foundry.preprocessing.noise import snr
from data_foundry.preprocessing.quality import Measures, check_measures, measure, measure_flags, speaking_rate
from data_foundry.preprocessing.text import normalize
from data_foundry.records import SAMPLE_RATE, Rejected

_RATIOS = range(-5, 31, 5)
_CLEAN = 45.0
_CLIPS = 30
_SHUFFLES = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    options = parser.parse_args()
    rows = [json.loads(line) for line in options.speech.read_text(encoding="utf-8").splitlines()]
    clips = [_read(options.speech.parent / row["audio"]) for row in rows]
    hours = sum(map(len, clips)) / SAMPLE_RATE / 3600
    print(f"{len(clips)} clips, {hours:.3f} hours, {len({row['speaker'] for row in rows})} speakers")
    for part in options.parts:
        print(f"\n## {part}")
        PARTS[part](rows, clips)
    return 0


def _read(path: Path) -> Samples:
    frames, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(frames[:, 0], rate, SAMPLE_RATE, quality="HQ") if rate != SAMPLE_RATE else frames[:, 0].copy()


def cost(rows: list[Any], clips: list[Samples]) -> None:
    """CPU seconds per hour of audio, best of 5 rounds, all in turn; resampling stands beside them as a ruler."""
    wide = [soxr.resample(clip, SAMPLE_RATE, 48_000) for clip in clips[::4]]
    powers = [loudness.frame_powers(clip) for clip in clips]
    texts = [normalize(row["text"]).text for row in rows]
    jobs: dict[str, tuple[Callable[[Any], Any], list[Any], list[Samples], int]] = {
        "soxr HQ 48 to 16 kHz (ruler)": (lambda clip: soxr.resample(clip, 48_000, 16_000), wide, wide, 48_000),
        "frame powers": (loudness.frame_powers, clips, clips, SAMPLE_RATE),
        "RMS": (loudness.power, clips, clips, SAMPLE_RATE),
        "DC offset": (lambda clip: float(clip.mean()), clips, clips, SAMPLE_RATE),
        "true peak": (loudness.true_peak, clips, clips, SAMPLE_RATE),
        "active speech level": (loudness.active_level, clips, clips, SAMPLE_RATE),
        "SNR, from the frame powers": (lambda found: snr(found, -20.0), powers, clips, SAMPLE_RATE),
        "clipping share": (loudness.clipping_share, clips, clips, SAMPLE_RATE),
        "clipping share of 48 kHz": (loudness.clipping_share, wide, wide, 48_000),
        "bandwidth": (lambda clip: bandwidth(clip, SAMPLE_RATE), clips, clips, SAMPLE_RATE),
        "bandwidth of 48 kHz": (lambda clip: bandwidth(clip, 48_000), wide, wide, 48_000),
        "speaking rate": (lambda text: speaking_rate(text, 1.0), texts, clips, SAMPLE_RATE),
        "all": (lambda pair: measure(pair[0], text=pair[1]), list(zip(clips, texts, strict=True)), clips, SAMPLE_RATE),
    }
    best: dict[str, float] = defaultdict(lambda: np.inf)
    for _ in range(5):
        for name, (work, items, sounds, rate) in jobs.items():
            start = time.process_time()
            for item in items:
                work(item)
            spent = time.process_time() - start
            best[name] = min(best[name], spent / (sum(map(len, sounds)) / rate / 3600))
    for name, seconds in best.items():
        print(f"{name:32s}{seconds:7.3f} CPU s/h")


def noises(rows: list[Any], clips: list[Samples]) -> None:
    """Mean error and mean absolute error of the estimates of SNR, on every second speaker and on espeak-ng."""
    heard = sorted({row["speaker"] for row in rows})[1::2]
    generator = np.random.default_rng(2)
    chosen: dict[int, str] = {}
    for at in generator.permutation(len(clips)).tolist():
        speaker = rows[at]["speaker"]
        # At most four clips of a speaker, clean enough to be the speech of a mixture.
        if speaker in heard and list(chosen.values()).count(speaker) < 4 and (measure(clips[at]).snr or 0) > _CLEAN:
            chosen[at] = speaker
    spoken = [clips[at] for at in list(chosen)[:_CLIPS]] + list(_synthetic())
    voices = clips[::11]
    methods: dict[str, Callable[[Samples], float | None]] = {
        "in use": lambda clip: measure(clip).snr,
        "WADA": wada,
        "STNR": stnr,
    }
    errors: dict[str, dict[tuple[str, int], list[float]]] = {name: defaultdict(list) for name in methods}
    for clip in spoken:
        for kind in NOISES:
            added = noise(kind, len(clip), generator, voices)
            for ratio in _RATIOS:
                mixed = mixture(clip, added, ratio)
                for name, method in methods.items():
                    estimate = method(mixed)
                    if estimate is not None:
                        errors[name][kind, ratio].append(estimate - ratio)
    print(f"{len(spoken)} clips x {len(NOISES)} noises x {len(_RATIOS)} ratios; mean error / mean absolute error in dB")
    for name, found in errors.items():
        every = np.concatenate(list(found.values()))
        print(f"{name}: all {_errors(every)}, {len(every)} estimates")
        for kind in NOISES:
            cells = "  ".join(f"{ratio:+d}: {_errors(found[kind, ratio])}" for ratio in _RATIOS)
            print(f"  {kind:7s} {_errors(np.concatenate([found[kind, ratio] for ratio in _RATIOS]))} | {cells}")


def _errors(values: Any) -> str:
    return f"{np.mean(values):+.1f}/{np.mean(np.abs(values)):.1f}"


def _synthetic() -> Iterable[Samples]:
    """Yield five sentences of our own (no native speaker checked them), said by espeak-ng."""
    sentences = (
        "ഇന്ന് രാവിലെ മഴ പെയ്തു, പിന്നെ വെയിൽ വന്നു.",
        "നാളെ ഉച്ചയ്ക്ക് ഓഫീസിൽ വരാമോ?",
        "ബസ് സമയത്തിന് എത്തിയില്ല, അതുകൊണ്ട് ഞാൻ നടന്നു.",
        "കറന്റ് ബിൽ അടയ്ക്കാൻ എന്തു ചെയ്യണം?",
        "അമ്മ ചന്തയിൽ നിന്ന് പച്ചക്കറി വാങ്ങി വീട്ടിലെത്തി.",
    )
    for place, sentence in enumerate(sentences):
        command = ["espeak-ng", "-v", "ml", "-s", str(140 + 10 * place), "--stdout", sentence]
        said = subprocess.run(command, capture_output=True, check=True).stdout
        samples, rate = soundfile.read(io.BytesIO(said), dtype="float32")
        yield soxr.resample(samples, rate, SAMPLE_RATE).astype(np.float32)


def bandwidths(rows: list[Any], clips: list[Samples]) -> None:
    """Bandwidth of speech after known channels: 5 %, 50 % and 95 % quantile in Hz, and the share called narrowband."""
    chosen = clips[::25]
    generator = np.random.default_rng(0)
    limit = AudioGates().narrowband_hz

    def show(name: str, sounds: Iterable[Samples], rate: int = SAMPLE_RATE) -> None:
        found = [bandwidth(sound, rate) or 0.0 for sound in sounds]
        low, middle, high = np.quantile(found, [0.05, 0.5, 0.95])
        print(f"{name:34s}{low:7.0f}{middle:7.0f}{high:7.0f}   {np.mean(np.array(found) <= limit):6.1%}")

    telephone = [_coded(clip) for clip in chosen]
    show("as recorded, all clips", clips)
    show("300 to 3400 Hz", (_filtered(clip, 300, 3400) for clip in chosen))
    show("G.711 at 8 kHz", telephone, 8_000)
    show("G.711 at 8 kHz, then 16 kHz", (soxr.resample(clip, 8_000, 16_000) for clip in telephone))
    show("G.711 at 8 kHz, then 48 kHz", (soxr.resample(clip, 8_000, 48_000) for clip in telephone), 48_000)
    show("low-pass at 5.5 kHz", (_filtered(clip, 0, 5500) for clip in chosen))
    show("MP3 at 48 kHz, low-pass at 5.5 kHz", (_mp3(clip) for clip in chosen), 48_000)
    for ratio in (50, 40, 30):
        mixed = [mixture(clip, noise("white", len(clip), generator, clips), ratio) for clip in chosen]
        show(f"white noise at {ratio} dB", mixed)
        narrow = [_filtered(clip, 300, 3400) for clip in chosen]
        mixed = [mixture(clip, noise("white", len(clip), generator, clips), ratio) for clip in narrow]
        show(f"300 to 3400 Hz, then white at {ratio} dB", mixed)


def _filtered(clip: Samples, low: float, high: float) -> Samples:
    spectrum = np.fft.rfft(clip)
    frequencies = np.fft.rfftfreq(len(clip), 1 / SAMPLE_RATE)
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    return np.fft.irfft(spectrum, len(clip)).astype(np.float32)


def _coded(clip: Samples) -> Samples:
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(clip, SAMPLE_RATE, 8_000), 8_000, format="WAV", subtype="ALAW")
    return soundfile.read(io.BytesIO(file.getvalue()), dtype="float32")[0]


def _mp3(clip: Samples) -> Samples:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", "-", "-ar", "48000", "-b:a", "32k", "-cutoff", "5500"]
    wav = io.BytesIO()
    soundfile.write(wav, clip, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    done = subprocess.run([*command, "-f", "mp3", "-"], input=wav.getvalue(), capture_output=True, check=True)
    return soundfile.read(io.BytesIO(done.stdout), dtype="float32")[0]


def gates(rows: list[Any], clips: list[Samples]) -> None:
    """What the default gates and flags do to the clips, one by one, and where each measure lies."""
    found = [measure(clip, text=normalize(row["text"]).text) for row, clip in zip(rows, clips, strict=True)]
    refused: Counter[str] = Counter()
    for row, measures in zip(rows, found, strict=True):
        said = [f"flag {flag}" for flag in measure_flags(measures, AudioGates())]
        try:
            check_measures(measures, AudioGates())
        except Rejected as refusal:
            said.append(f"rejected {refusal.reason}")
        refused.update(said)
        if said:
            print(f"{row['audio']}: {', '.join(said)}: {measures}")
    print(dict(refused) or "nothing is rejected or flagged")
    for name in Measures.__slots__:
        values = [value for value in (getattr(measures, name) for measures in found) if value is not None]
        if values:
            quantiles = np.quantile(values, [0, 0.005, 0.05, 0.5, 0.95, 0.995, 1])
            print(f"{name:16s}" + "".join(f"{value:11.3f}" for value in quantiles))


def transcripts(rows: list[Any], clips: list[Samples]) -> None:
    """How many transcripts dealt to other clips the speaking rate finds, by limits, against false alarms."""
    texts = [normalize(row["text"]).text for row in rows]
    aksharas = np.array([speaking_rate(text, 1.0) for text in texts])
    found = [measure(clip) for clip in clips]
    total = np.array([measures.duration for measures in found])
    spoken = total * (1 - np.array([measures.silence_share for measures in found]))
    generator = np.random.default_rng(0)
    dealt = [generator.permutation(len(texts)) for _ in range(_SHUFFLES)]
    for name, seconds in (("whole clip", total), ("speech", spoken)):
        own = aksharas / seconds
        other = np.concatenate([(aksharas[order] / seconds)[order != np.arange(len(order))] for order in dealt])
        for alarms in (0.002, 0.01, 0.05):
            low, high = np.quantile(own, [alarms / 2, 1 - alarms / 2])
            _detection(f"over the {name}", own, other, low, high)
    gates = AudioGates()
    _detection("rejected by default", own, other, gates.min_aksharas_per_second, gates.max_aksharas_per_second)
    _detection("flagged by default", own, other, *gates.usual_aksharas_per_second)


def _detection(name: str, own: Any, other: Any, low: float, high: float) -> None:
    outside = [np.mean((rates < low) | (rates > high)) for rates in (own, other)]
    print(f"{name:22s}{low:6.2f} to {high:5.2f} aksharas/s: false alarms {outside[0]:.2%}, found {outside[1]:.1%}")


PARTS: dict[str, Callable[[list[Any], list[Samples]], None]] = {
    "cost": cost,
    "noises": noises,
    "bandwidths": bandwidths,
    "gates": gates,
    "transcripts": transcripts,
}

if __name__ == "__main__":
    sys.exit(main())
