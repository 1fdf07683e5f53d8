"""Hold the phone channel against real speech: is it what its parameters say, and what does it cost?

    PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/telephony/validate.py SPEECH.jsonl

SPEECH.jsonl has one clip a line: {"audio": path beside the file}. Needs ffmpeg for one line of the costs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from data_foundry.config import AudioGates
from data_foundry.preprocessing.audio import wav_bytes
from data_foundry.preprocessing.bandwidth import bandwidth
from data_foundry.preprocessing.loudness import active_level, power
from data_foundry.records import SAMPLE_RATE
from data_foundry.telephony import line
from data_foundry.telephony.channel import PhoneChannel, draw
from data_foundry.telephony.line import through, transmit
from data_foundry.telephony_settings import Telephony

Samples = NDArray[np.float32]

CODECS = ("alaw", "ulaw", "gsm", "opus_nb")
_EVERY = 10
_ROUNDS = 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    options = parser.parse_args()
    rows = [json.loads(text) for text in options.speech.read_text(encoding="utf-8").splitlines()]
    clips = [_read(options.speech.parent / row["audio"]) for row in rows]
    print(f"{len(clips)} clips, {sum(map(len, clips)) / SAMPLE_RATE / 3600:.3f} hours")
    for part in options.parts:
        print(f"\n## {part}")
        PARTS[part](clips)
    return 0


def _read(path: Path) -> Samples:
    frames, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(frames[:, 0], rate, SAMPLE_RATE, quality="HQ") if rate != SAMPLE_RATE else frames[:, 0].copy()


def cost(clips: list[Samples]) -> None:
    """CPU seconds per hour of audio, best of 3 rounds, all in turn; children count, too."""
    some = clips[::_EVERY]
    jobs: dict[str, tuple[Callable[[Samples], object], list[Samples]]] = {
        "soxr 16 to 8 to 16 kHz (ruler)": (_resampled, some),
        **{codec: (_job(PhoneChannel(codec=codec)), some) for codec in CODECS},
        "alaw with line noise": (_job(PhoneChannel(codec="alaw", noise="line", snr_db=15.0)), some),
        "alaw with babble": (_job(PhoneChannel(codec="alaw", noise="babble", snr_db=15.0)), some),
        "alaw with 3 % lost": (_job(PhoneChannel(codec="alaw", loss_share=0.03, burst_frames=2.0)), some),
        "ffmpeg, there and back, A-law, no band, noise or loss": (_ffmpeg, some[::5]),
    }
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(_ROUNDS):
        for name, (job, heard) in jobs.items():
            best[name] = min(best[name], _cpu_per_hour(job, heard))
    settings = Telephony()
    names = iter(range(10**9))
    best["channels as drawn by default, all clips"] = _cpu_per_hour(
        lambda clip: through(clip, draw(f"{next(names):016x}", 0, settings)), clips
    )
    for name, seconds in best.items():
        print(f"{seconds:8.2f} s/h  {name}")


def _job(channel: PhoneChannel) -> Callable[[Samples], object]:
    return lambda clip: through(clip, channel)


def _resampled(clip: Samples) -> Samples:
    return soxr.resample(soxr.resample(clip, SAMPLE_RATE, 8000, quality="HQ"), 8000, SAMPLE_RATE, quality="HQ")


def _ffmpeg(clip: Samples) -> bytes:
    there = ["ffmpeg", "-v", "error", "-i", "pipe:0", "-ar", "8000", "-c:a", "pcm_alaw", "-f", "wav", "pipe:1"]
    back = ["ffmpeg", "-v", "error", "-i", "pipe:0", "-ar", "16000", "-c:a", "pcm_s16le", "-f", "wav", "pipe:1"]
    coded = subprocess.run(there, input=wav_bytes(clip), capture_output=True, check=True).stdout
    return subprocess.run(back, input=coded, capture_output=True, check=True).stdout


def _cpu_per_hour(job: Callable[[Samples], object], clips: list[Samples]) -> float:
    job(clips[0])
    begun = time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) + _children()
    for clip in clips:
        job(clip)
    spent = time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID) + _children() - begun
    return spent * 3600 * SAMPLE_RATE / sum(map(len, clips))


def _children() -> float:
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def bandwidths(clips: list[Samples]) -> None:
    """What the measure of phase 2 says of the bandwidth in Hz, and the share of clips that it flags narrowband."""
    limit = AudioGates().narrowband_hz
    lines: dict[str, Callable[[int, Samples], Samples]] = {
        "as recorded": lambda _, clip: clip,
        **{codec: lambda _, clip, codec=codec: through(clip, PhoneChannel(codec=codec)) for codec in CODECS},
        "as drawn by default": lambda number, clip: through(clip, draw(f"{number:016x}", 0, Telephony())),
    }
    for name, heard in lines.items():
        whole = name in ("as recorded", "as drawn by default")
        found = [
            bandwidth(heard(number, clip), SAMPLE_RATE) for number, clip in enumerate(clips[:: 1 if whole else 10])
        ]
        known = [value for value in found if value is not None]
        low, middle, high = np.percentile(known, [5, 50, 95])
        narrow = sum(value <= limit for value in known)
        print(f"{name:20} {low:6.0f} {middle:6.0f} {high:6.0f}  narrowband {narrow} of {len(known)}")


def mixtures(clips: list[Samples]) -> None:
    """By how many dB the mixture before the codec misses the SNR asked for: largest and root mean square error."""
    coder, line.round_trip = line.round_trip, lambda pcm, codec: pcm
    for noise in ("line", "babble"):
        for snr in (0.0, 10.0, 20.0, 30.0):
            errors, lowered = [], 0
            for number, clip in enumerate(clips[::_EVERY]):
                channel = PhoneChannel(codec="alaw", level_db=-10.0, noise=noise, snr_db=snr, seed=number)
                mixed = transmit(clip, channel)
                if mixed.gain_db != channel.level_db:
                    lowered += 1
                    continue
                alone = through(clip, PhoneChannel(codec="alaw", level_db=-10.0))
                level = active_level(alone)
                if level is not None and mixed.snr_db is not None:
                    errors.append(level.level - 10 * np.log10(power(mixed.samples - alone)) - snr)
            spread = np.abs(errors)
            print(
                f"{noise:7} {snr:4.0f} dB: largest {spread.max():.2f}, rms {np.sqrt(np.mean(spread**2)):.2f} "
                f"({len(errors)} clips; {lowered} turned down and left out)"
            )
    line.round_trip = coder


def levels(clips: list[Samples]) -> None:
    """The active speech level that the codec is given with channels as drawn by default, dBov."""
    sent = [transmit(clip, draw(str(number), 0, Telephony())) for number, clip in enumerate(clips)]
    found = [each.speech_level_db for each in sent if each.speech_level_db is not None]
    low, middle, high = np.percentile(found, [5, 50, 95])
    print(f"{low:.1f} / {middle:.1f} / {high:.1f} dBov (5, 50, 95 %) of {len(found)} of {len(sent)} clips")


def losses(clips: list[Samples]) -> None:
    """Packets lost over all clips, as asked for and as they came."""
    for share, burst in ((0.01, 1.0), (0.03, 2.0), (0.1, 3.0)):
        sent = [
            transmit(clip, PhoneChannel(codec="alaw", loss_share=share, burst_frames=burst, seed=number))
            for number, clip in enumerate(clips)
        ]
        frames, lost = sum(each.frames for each in sent), sum(each.lost_frames for each in sent)
        print(f"asked {share:.3f} in bursts of {burst:g}: {lost} of {frames} packets, {lost / frames:.4f}")


def shifts(clips: list[Samples]) -> None:
    """By how many samples at 16 kHz speech comes out later than it went in: clips by shift."""
    for codec in CODECS:
        counts: dict[int, int] = {}
        for clip in clips[::_EVERY]:
            before, after = through(clip, PhoneChannel(codec="alaw")), through(clip, PhoneChannel(codec=codec))
            before = clip if codec == "alaw" else before
            size = 2 * len(clip)
            crossed = np.fft.irfft(np.fft.rfft(after, size) * np.fft.rfft(before, size).conj())
            at = int(crossed.argmax())
            at -= size if at > len(clip) else 0
            counts[at] = counts.get(at, 0) + 1
        print(f"{codec:8} {dict(sorted(counts.items()))}")


PARTS = {
    "cost": cost,
    "bandwidths": bandwidths,
    "mixtures": mixtures,
    "levels": levels,
    "losses": losses,
    "shifts": shifts,
}

if __name__ == "__main__":
    sys.exit(main())
