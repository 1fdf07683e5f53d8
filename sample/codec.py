"""A small audio codec for the sample's token sets: log-mel frames at 12.5 a second, quantised by four codebooks.

It has the shape of the neural codec the real sets were made with (four layers, 12.5 frames a second, mono 22 050 Hz)
but not its codes: four residual k-means codebooks of 128 entries, so every code also lies under the declared 4032.
"""

from __future__ import annotations

from functools import cache

import numpy as np

RATE_HZ = 22050
FRAMES_PER_SECOND = 12.5
LAYERS = 4
CODEBOOK_SIZE = 128
DECLARED_CODEBOOK_SIZE = 4032
_FRAME = int(RATE_HZ / FRAMES_PER_SECOND)  # 1764 samples
_WINDOW = 2048
_MELS = 40


class Codec:
    """Residual k-means over log-mel frames: ``fit`` learns the codebooks, ``encode`` turns speech into codes."""

    def __init__(self) -> None:
        self.codebooks: list[np.ndarray] = []

    def fit(self, signals: list[np.ndarray], seed: int = 0) -> Codec:
        """Learn the codebooks from mono signals at 22 050 Hz; returns itself."""
        rng = np.random.default_rng(seed)
        residual = np.concatenate([log_mel(signal) for signal in signals])
        self.codebooks = []
        for _ in range(LAYERS):
            book = _kmeans(residual, CODEBOOK_SIZE, rng)
            residual = residual - book[_nearest(residual, book)]
            self.codebooks.append(book)
        return self

    def encode(self, signal: np.ndarray) -> np.ndarray:
        """Codes of a mono signal at 22 050 Hz: int64 array of shape (4, frames), each 0-127.

        Raises ValueError before ``fit``.
        """
        if not self.codebooks:
            raise ValueError("the codec has no codebooks yet; call fit first")
        residual = log_mel(signal)
        codes = np.empty((LAYERS, len(residual)), dtype=np.int64)
        for layer, book in enumerate(self.codebooks):
            codes[layer] = _nearest(residual, book)
            residual = residual - book[codes[layer]]
        return codes

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Log-mel frames, shape (frames, 40), that codes of shape (4, frames) stand for."""
        return sum(book[layer] for book, layer in zip(self.codebooks, codes, strict=True))


@cache
def fitted_codec() -> Codec:
    """The sample's one codec: 12 base voices speaking 240 everyday texts, kept for the process's life."""
    from sample.corpus import utterances
    from sample.speech import speak, voices

    speakers = voices("base")
    texts = utterances("everyday", "base", 240, seed=12)
    return Codec().fit([speak(item.text, speakers[place % len(speakers)]) for place, item in enumerate(texts)], seed=12)


def log_mel(signal: np.ndarray) -> np.ndarray:
    """Log-mel energies of a mono signal at 22 050 Hz: float32 array of shape (frames, 40), 12.5 frames a second."""
    frames = max(1, int(np.ceil(len(signal) / _FRAME)))
    padded = np.zeros(frames * _FRAME + _WINDOW, dtype=np.float32)
    padded[_WINDOW // 2 : _WINDOW // 2 + len(signal)] = signal
    window = np.hanning(_WINDOW).astype(np.float32)
    # Four windows a frame, so that a frame is the mean of what is heard in its 80 ms rather than one slice of it.
    starts = (np.arange(frames * 4) * _FRAME // 4).astype(int)
    sliced = np.stack([padded[start : start + _WINDOW] for start in starts]) * window
    power = (np.abs(np.fft.rfft(sliced, axis=1)) ** 2).reshape(frames, 4, -1).mean(axis=1)
    # Rounded, so that the last bit of a sum cannot move a code on another machine.
    return np.round(np.log(power @ _mel_filters() + 1e-4), 3).astype(np.float32)


@cache
def _mel_filters() -> np.ndarray:
    """Triangular filters from 80 to 7600 Hz, evenly spaced in mel: shape (1025, 40)."""
    edges_mel = np.linspace(_to_mel(80.0), _to_mel(7600.0), _MELS + 2)
    edges = 700 * (10 ** (edges_mel / 2595) - 1)
    frequency = np.fft.rfftfreq(_WINDOW, 1 / RATE_HZ)[:, None]
    rising = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


def _to_mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _kmeans(points: np.ndarray, size: int, rng: np.random.Generator, rounds: int = 25) -> np.ndarray:
    book = points[rng.choice(len(points), size, replace=False)].astype(np.float64)
    for _ in range(rounds):
        nearest = _nearest(points, book)
        count = np.bincount(nearest, minlength=size)
        total = np.zeros_like(book)
        np.add.at(total, nearest, points)
        filled = count > 0
        book[filled] = total[filled] / count[filled, None]
        book[~filled] = points[rng.choice(len(points), int((~filled).sum()), replace=False)]
    return np.round(book, 4)


def _nearest(points: np.ndarray, book: np.ndarray) -> np.ndarray:
    distance = (points**2).sum(axis=1)[:, None] - 2 * points @ book.T + (book**2).sum(axis=1)[None]
    return distance.argmin(axis=1)
