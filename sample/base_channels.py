"""What the speech base hears its training clips through: a mildly bad line, and other speakers' vocal tracts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def mild_channel(samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return float32 samples after a gain, sometimes a gentle low-pass, and 12 to 35 dB of white or darker noise."""
    import numpy as np

    out = samples * 10 ** (rng.uniform(-10, 3) / 20)
    if rng.random() < 0.5:
        spectrum = np.fft.rfft(out)
        hertz = np.fft.rfftfreq(len(out), 1 / rate)
        spectrum /= np.sqrt(1 + (hertz / rng.uniform(3200, 7000)) ** (2 * rng.integers(1, 5)))
        out = np.fft.irfft(spectrum, len(out))
    noise = rng.standard_normal(len(out))
    if rng.random() < 0.5:
        noise = noise + 0.9 * np.concatenate([[0.0], noise[:-1]])
    level = np.sqrt(np.mean(out**2)) * 10 ** (-rng.uniform(12, 35) / 20)
    return np.clip(out + noise / np.std(noise) * level, -1, 1).astype(np.float32)


def other_vocal_tracts(features: Tensor, rate: int, rng: np.random.Generator) -> Tensor:
    """Return log-mels (clips, bins, frames) with each clip's frequencies scaled by 0.82 to 1.22, some with a band cut.

    `rate` is the sampling rate in Hz of the waves behind them; mel bins stand on Slaney's scale, as Whisper's do.
    Scaling reads between neighbouring bins, after vocal tract length perturbation (Jaitly and Hinton, 2013); one clip
    in three loses a band of up to ten bins, after SpecAugment (Park and others, 2019).
    """
    import numpy as np
    import torch
    from transformers.audio_utils import hertz_to_mel, mel_to_hertz

    bins = features.shape[1]
    mels = np.linspace(0, hertz_to_mel(rate / 2, mel_scale="slaney"), bins + 2)[1:-1]
    hertz = mel_to_hertz(mels, mel_scale="slaney")
    out = torch.empty_like(features)
    for number, clip in enumerate(features):
        place = hertz_to_mel(hertz * rng.uniform(0.82, 1.22), mel_scale="slaney") / (mels[1] - mels[0]) - 1
        place = torch.from_numpy(np.clip(place, 0, bins - 1.001)).float()
        low = place.long()
        share = (place - low)[:, None]
        out[number] = clip[low] * (1 - share) + clip[low + 1] * share
        if rng.random() < 1 / 3:
            width = int(rng.integers(1, 11))
            first = int(rng.integers(0, bins - width))
            out[number, first : first + width] = clip.min()
    return out
