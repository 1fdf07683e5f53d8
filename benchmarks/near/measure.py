"""Measures how well near duplicates are found, and at what cost: tables on stdout.

    python -m benchmarks.near.measure sounds FOLDER      # *.flac and *.wav below it; train.jsonl has its texts
    python -m benchmarks.near.measure texts FILE...      # one text a line
    python -m benchmarks.near.measure many --texts 1000000 --clips 100000

`sounds` needs ffmpeg; with espeak-ng it also says the texts of train.jsonl in one voice. Chromaprint is measured
beside it where pyacoustid and libchromaprint are installed. The words of `many` are made up.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import combinations, product
from pathlib import Path

import numpy as np
import soundfile
import soxr

from data_foundry.allocation import near_text
from data_foundry.allocation.near_audio import NearAudio
from data_foundry.allocation.near_text import NearTexts
from data_foundry.allocation.neighbours import Near, chained
from data_foundry.preprocessing.fingerprint import RATE, fingerprint

CLIPS = 120
FFMPEG = ["ffmpeg", "-nostdin", "-v", "error"]
PCM = ["-f", "f32le", "-ac", "1"]
TELEPHONE = ["-af", "highpass=300,highpass=300,lowpass=3400,lowpass=3400", "-ar", "8000"]


def by_codec(clips: list[np.ndarray], form: str, *options: str) -> list[np.ndarray]:
    """Return clips after ffmpeg wrote them in a format and read them again, all in one stream with pauses between."""
    pause = np.zeros(RATE // 2, np.float32)
    stream = np.concatenate([part for clip in clips for part in (clip, pause)]).astype(np.float32)
    write = [*FFMPEG, *PCM, "-ar", str(RATE), "-i", "-", *options, "-f", form, "-"]
    made = subprocess.run(write, input=stream.tobytes(), capture_output=True, check=True).stdout
    # A-law and mu-law come without a header.
    raw = ["-ar", "8000", "-ac", "1"] if form in {"alaw", "mulaw"} else []
    read = [*FFMPEG, "-f", form, *raw, "-i", "-", *PCM, "-ar", str(RATE), "-"]
    back = np.frombuffer(subprocess.run(read, input=made, capture_output=True, check=True).stdout, "<f4")
    starts = np.cumsum([0] + [len(clip) + len(pause) for clip in clips])
    return [back[start : start + len(clip)] for start, clip in zip(starts, clips, strict=False)]


def noisy(samples: np.ndarray, snr: float) -> np.ndarray:
    noise = np.random.default_rng(len(samples)).normal(0, 1, len(samples))
    return (samples + noise * np.sqrt(np.mean(samples**2) / 10 ** (snr / 10))).astype(np.float32)


def each(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    return lambda clips: [change(clip) for clip in clips]


def by_a_law(clips: list[np.ndarray]) -> list[np.ndarray]:
    return by_codec(clips, "alaw", *TELEPHONE, "-c:a", "pcm_alaw")


ROADS: dict[str, Callable[[list[np.ndarray]], list[np.ndarray]]] = {
    "48 kHz and back": each(lambda x: soxr.resample(soxr.resample(x, RATE, 48_000), 48_000, RATE)),
    "8 kHz and back": each(lambda x: soxr.resample(soxr.resample(x, RATE, 8_000), 8_000, RATE)),
    "20 dB quieter, 16 bits": each(lambda x: np.round(3276.7 * x).astype(np.int16)),
    "MP3, 32 kbit/s": lambda clips: by_codec(clips, "mp3", "-c:a", "libmp3lame", "-b:a", "32k"),
    "Opus, 12 kbit/s": lambda clips: by_codec(clips, "ogg", "-c:a", "libopus", "-b:a", "12k"),
    "telephone, A-law": by_a_law,
    "telephone, mu-law": lambda clips: by_codec(clips, "mulaw", *TELEPHONE, "-c:a", "pcm_mulaw"),
    "telephone, GSM": lambda clips: by_codec(clips, "gsm", *TELEPHONE, "-c:a", "libgsm"),
    "7 ms later": each(lambda x: x[112:]),
    "12 ms later": each(lambda x: x[192:]),
    "0.35 s and 0.25 s cut off": each(lambda x: x[5600:-4000]),
    "0.3 s of silence before and after": each(lambda x: np.pad(x, 4800)),
    "the first half": each(lambda x: x[: len(x) // 2]),
    "noise at 20 dB": each(lambda x: noisy(x, 20)),
    "noise at 10 dB": each(lambda x: noisy(x, 10)),
    "cut off, A-law, noise at 20 dB": lambda clips: [noisy(x, 20) for x in by_a_law([x[3333:] for x in clips])],
}


def heard(path: Path | io.BytesIO) -> np.ndarray:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(samples.mean(axis=1), rate, RATE).astype(np.float32)


def compared(prints: list[bytes | None]) -> tuple[Near, set[tuple[int, int]]]:
    sounds = NearAudio()
    for found in prints:
        sounds.add(found)
    near = sounds.found()
    held = [np.flatnonzero(near.content == content).tolist() for content in range(len(near.name))]
    pairs = {pair for a, b in zip(near.first, near.second, strict=True) for pair in product(held[a], held[b])}
    pairs |= {pair for rows in held for pair in combinations(rows, 2)}
    return near, {(min(pair), max(pair)) for pair in pairs}


def sounds(folder: Path) -> None:
    paths = sorted([*folder.rglob("*.flac"), *folder.rglob("*.wav")])
    clips = [heard(path) for path in paths]
    hours = sum(map(len, clips)) / RATE / 3600
    fingerprint(clips[0])
    start = time.process_time()
    prints = [fingerprint(clip) for clip in clips]
    seconds = time.process_time() - start
    size = sum(len(found) for found in prints if found) / hours / 3600
    print(f"{len(clips)} clips, {hours:.2f} h: {seconds / hours:.2f} CPU s an hour, {size:.0f} bytes a second, "
          f"{prints.count(None)} without a fingerprint")  # fmt: skip
    _, pairs = compared(prints)
    print(f"pairs called near among {len(clips) * (len(clips) - 1) // 2}: {len(pairs)}")
    chromaprint_beside(clips, hours)
    chosen = np.random.default_rng(0).permutation(len(clips))[:CLIPS].tolist()
    print("| road | found | of them |\n|---|---|---|")
    for name, road in ROADS.items():
        copies = [fingerprint(copy) for copy in road([clips[place] for place in chosen])]
        _, pairs = compared(prints + copies)
        found = sum((place, len(prints) + at) in pairs for at, place in enumerate(chosen))
        wrong = sum(chosen[b - len(prints)] != a for a, b in pairs if a < len(prints) <= b)
        print(f"| {name} | {found} | {len(chosen) - copies.count(None)}{f', {wrong} wrong' if wrong else ''} |")
    if shutil.which("espeak-ng") and (folder / "train.jsonl").exists():
        one_voice(folder / "train.jsonl")


def chromaprint_beside(clips: list[np.ndarray], hours: float) -> None:
    try:
        import chromaprint
    except ImportError:
        return
    start, words = time.process_time(), []
    for clip in clips:
        printer = chromaprint.Fingerprinter()
        printer.start(RATE, 1)
        printer.feed((np.clip(clip, -1, 1) * 32767).astype("<i2").tobytes())
        words.append(len(chromaprint.decode_fingerprint(printer.finish())[0]))
    print(f"chromaprint: {(time.process_time() - start) / hours:.2f} CPU s an hour, "
          f"{words.count(0)} clips without a fingerprint")  # fmt: skip


def one_voice(file: Path) -> None:
    """Say different sentences with one synthetic voice: none is near another."""
    texts = sorted({json.loads(line)["text"] for line in file.read_text(encoding="utf-8").splitlines()})
    command = ["espeak-ng", "-v", "ml", "--stdout"]
    said = [subprocess.run([*command, text], capture_output=True, check=True).stdout for text in texts]
    _, pairs = compared([fingerprint(heard(io.BytesIO(wav))) for wav in said])
    print(f"one synthetic voice, {len(texts)} sentences: {len(pairs)} pairs called near")
    for a, b in sorted(pairs):
        print(f"  {texts[a]} | {texts[b]}")


LETTERS = "കഗചജഡദബമയരലവശസഹള"
EDITS = {
    "a letter changed": lambda t, r: _at(t, r, lambda s, i: s[:i] + r.choice(LETTERS) + s[i + 1 :]),
    "a letter lost": lambda t, r: _at(t, r, lambda s, i: s[:i] + s[i + 1 :]),
    "a word added": lambda t, r: " ".join(_inserted(t.split(), r)),
    "a word lost": lambda t, r: " ".join(_without(t.split(), r)),
    "two words swapped": lambda t, r: " ".join(_swapped(t.split(), r)),
    "a space lost": lambda t, r: t.replace(" ", "", 1),
}


def _at(text: str, random_: random.Random, edit) -> str:
    return edit(text, random_.choice([place for place, letter in enumerate(text) if letter != " "]))


def _inserted(words: list[str], random_: random.Random) -> list[str]:
    place = random_.randrange(len(words) + 1)
    return [*words[:place], random_.choice(["ഇന്ന്", "ദയവായി", "വേഗം"]), *words[place:]]


def _without(words: list[str], random_: random.Random) -> list[str]:
    place = random_.randrange(len(words))
    return [*words[:place], *words[place + 1 :]]


def _swapped(words: list[str], random_: random.Random) -> list[str]:
    place = random_.randrange(max(1, len(words) - 1))
    return [*words[:place], *reversed(words[place : place + 2]), *words[place + 2 :]]


def texts(files: list[Path]) -> None:
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    unique = sorted(set(lines))
    print(f"{len(lines)} lines, {len(unique)} different")
    print("| least similarity | pairs | tied | largest groups |\n" + "|---" * 4 + "|")
    limit = near_text.LEAST_SIMILARITY
    for least in (0.6, 0.7, 0.75, 0.8, 0.85):
        near_text.LEAST_SIMILARITY = least
        near = _near(lines)
        sizes = np.bincount(chained(near.first, near.second, len(near.name)))
        largest = ", ".join(map(str, sorted(sizes[sizes > 1].tolist(), reverse=True)[:4]))
        print(f"| {least} | {len(near.first)} | {sizes[sizes > 1].sum()} | {largest or '-'} |")
    near_text.LEAST_SIMILARITY = limit
    lengths = ((12, 20), (20, 30), (30, 45), (45, 70), (70, 500))
    print(
        "| edit, found at "
        + " | ".join(f"{low} to {high - 1}" for low, high in lengths)
        + " letters |\n"
        + "|---" * 6
        + "|"
    )
    for name, edit in EDITS.items():
        cells = []
        for low, high in lengths:
            chosen = [text for text in unique if low <= len(text.replace(" ", "")) < high][:400]
            random_ = random.Random(low)
            near = _near([*unique, *(edited := [edit(text, random_) for text in chosen])])
            keys = near.keys
            place = {text: keys[at] for at, text in enumerate(unique)}
            found = [place[text] == key != 0 for text, key in zip(chosen, keys[len(unique) :], strict=True)]
            cells.append(f"{np.mean(found):.2f}" if edited else "-")
        print(f"| {name} | " + " | ".join(cells) + " |")


def _near(lines: list[str]) -> Near:
    collected = NearTexts()
    for line in lines:
        collected.add(line)
    return collected.found()


def made_texts(count: int, template: bool) -> Iterator[str]:
    """Yield sentences of eight made-up words, some words more frequent; from templates: 500 with one open place."""
    random_ = random.Random(1)
    syllables = [letter + sign for letter in LETTERS for sign in ("", "ാ", "ി", "ു", "െ", "ോ")]
    words = ["".join(random_.choices(syllables, k=random_.randint(2, 5))) for _ in range(30_000)]
    weights = list(np.cumsum(1 / (np.arange(len(words)) + 10)))
    frames = [random_.choices(words, k=7) for _ in range(500)]
    for _ in range(count):
        if template:
            frame = random_.choice(frames)
            yield " ".join([*frame[:3], random_.choice(words), *frame[4:]])
        else:
            yield " ".join(random_.choices(words, cum_weights=weights, k=8))


def made_prints(count: int) -> Iterator[bytes]:
    """Yield fingerprints of about 4 s: runs of words that change a few bits at a time, as those of speech do."""
    random_ = np.random.default_rng(1)
    for _ in range(count):
        words = int(random_.integers(80, 260))
        bits = np.repeat(random_.random((words // 3 + 1, 32)) < 0.5, 3, axis=0)[:words]
        bits = bits ^ (random_.random((words, 32)) < 0.05)
        yield np.maximum(np.packbits(bits, axis=1, bitorder="little").view("<u4").ravel(), 1).astype("<u4").tobytes()


def many(kind: str, count: int) -> None:
    """Compare so many made rows, every hundredth planted again with an edit, in a process of its own."""
    collected = NearAudio() if kind == "clips" else NearTexts()
    rows = made_prints(count) if kind == "clips" else made_texts(count, kind == "templates")
    random_, planted, spent = random.Random(2), [], 0.0
    turned = np.random.default_rng(3)
    for at, row in enumerate(rows):
        if at % 100 == 0:
            if isinstance(row, bytes):
                words = np.frombuffer(row, "<u4")
                bits = (
                    np.packbits(turned.random((len(words), 32)) < 0.05, axis=1, bitorder="little").view("<u4").ravel()
                )
                planted.append((at, np.maximum(words ^ bits, 1).astype("<u4")[3:].tobytes()))
            else:
                planted.append((at, EDITS["a letter changed"](row, random_)))
        start = time.process_time()
        collected.add(row)
        spent += time.process_time() - start
    for _, row in planted:
        collected.add(row)
    start = time.process_time()
    near = collected.found()
    keys = near.keys
    spent += time.process_time() - start
    found = sum(keys[at] == keys[count + place] != 0 for place, (at, _) in enumerate(planted))
    _, sizes = np.unique(keys[keys != 0], return_counts=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| {kind} | {count} | {spent:.0f} | {peak:.0f} | {found} of {len(planted)} | {near.counts['candidates']} "
          f"| {near.counts['pairs']} | {sizes.max(initial=0)} |", flush=True)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["sounds", "texts", "many", "one"])
    parser.add_argument("paths", nargs="*")
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--clips", type=int, default=100_000)
    chosen = parser.parse_args()
    if chosen.what == "sounds":
        sounds(Path(chosen.paths[0]))
    elif chosen.what == "texts":
        texts([Path(name) for name in chosen.paths])
    elif chosen.what == "one":
        many(chosen.paths[0], int(chosen.paths[1]))
    else:
        print(
            "| rows | count | CPU s | peak MB | planted found | candidates | pairs | largest group |\n"
            + "|---" * 8
            + "|"
        )
        for kind, count in (("texts", chosen.texts), ("templates", chosen.texts), ("clips", chosen.clips)):
            subprocess.run([sys.executable, "-m", "benchmarks.near.measure", "one", kind, str(count)], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
