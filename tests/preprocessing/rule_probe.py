"""PROBES: what each rule set makes of a fixed corpus, so that a rule that changed is seen in what it does.

Texts, numbers, tables and tones are made here, by examples of the text rules and by a seed. Figures that depend on how
a machine adds are rounded; how a detail is worded is left out. `python -m tests.preprocessing.rule_probe` prints
versions and digests as `test_rule_sets` pins them. No native speaker checked the Malayalam.
"""

from __future__ import annotations

import hashlib
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data_foundry.config import AudioGates, ContentChecks, Duplicates, load_settings
from data_foundry.preprocessing import labels, speech, text
from data_foundry.preprocessing.chunks import Chunk
from data_foundry.preprocessing.codec_tokens import check_codes
from data_foundry.preprocessing.content import Reviewer
from data_foundry.preprocessing.content.politeness import find_impolite
from data_foundry.preprocessing.duplicates import SeenRows, group, text_group
from data_foundry.preprocessing.fingerprint import fingerprint
from data_foundry.preprocessing.quality import check_measures, check_speaking_rate, measure, measure_flags
from data_foundry.preprocessing.readers import read_rows
from data_foundry.preprocessing.segmentation import cut
from data_foundry.preprocessing.stream import silver_rows
from data_foundry.preprocessing.utterance import Standardizer
from data_foundry.records import Rejected

from .audio_builders import SOUNDFILE_FORMATS, bursts, encoded, tone
from .raw_builders import (
    AUDIO_TYPE,
    COMMENTS,
    DIALECTS,
    INDICST,
    INDICVOICES,
    NEWS,
    SPEECH_WITH_ENGLISH,
    TEXT,
    TOKEN_ROW,
    TOKEN_TYPES,
    TOKENS,
    entry,
    parquet_bytes,
    wav,
    write_files,
)  # fmt: skip

_EXTENT = 400


def digest(name: str) -> str:
    """What a rule set makes of its probes, as 16 hex digits."""
    return hashlib.sha256("\n".join(map(repr, PROBES[name]())).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _outcome(function: Callable[..., Any], *values: Any) -> Any:
    try:
        return function(*values)
    except Rejected as refusal:
        return refusal.reason


def _texts() -> list[str]:
    """Examples of every rule and flag, and mixtures of parts that rules act on."""
    rng = random.Random(3)
    parts = [example for rule in text.RULES for pair in rule.examples for example in pair]
    parts += [example for flag in text.FLAGS for example in flag.raised_by + flag.not_by]
    more = [
        "super", "super padam", "njan vannu", "kollam bus", "മലയാളം", "bill", "<b>", "<x 1>", "[Music]", "youtu.be/a",
        "(www.a.in)", "\u200d", "\u200c", "്", "ം", "ാ", "െ", "1,000", "-5", "൫", "വർഷ", "वर्षा", "!", "…", "\ufffd",
        "O", "0",
    ]  # fmt: skip
    mixed = ["".join(rng.choice([*more, *parts, " ", " "]) for _ in range(rng.randint(2, 9))) for _ in range(_EXTENT)]
    return parts + more + mixed


def _text() -> Iterator[Any]:
    for given in _texts():
        for profile in text.PROFILES:
            normal = text.normalize(given, profile)
            yield normal.text, sorted(normal.changes.items()), text.text_flags(normal), text.fidelity(given, normal)
        yield round(text.malayalam_ratio(given), 4), text.is_well_formed(given), text.scoring_form(given)


def _numbers() -> list[str]:
    """Lines with numbers of every length, in groups of many shapes, beside words that say what they are."""
    rng = random.Random(4)
    words = ["വിളിക്കൂ", "ഫോൺ", "രൂപ", "₹", "വോട്ട്", "ആധാർ", "അക്കൗണ്ട് നമ്പർ", "സ്കോർ", "കോഡ്", "മാർക്ക്", "", "", "", "", ""]
    real = ["9000012045", "234567890124", "4111111111111111", "04712345678", "5000000001", "6543210987"]
    found = []
    for _ in range(4 * _EXTENT):
        digits = rng.choice([*real, "".join(rng.choice("0123456789") for _ in range(rng.randint(5, 17)))])
        cuts = sorted(rng.sample(range(1, len(digits)), rng.choice([0, 0, 1, 1, 2, 3, 4])))
        groups = [digits[at:to] for at, to in zip([0, *cuts], [*cuts, len(digits)], strict=True)]
        number = rng.choice([" ", " ", "-", ".", "/", "_", ", ", " - "]).join(groups)
        prefix = rng.choice(["", "", "", "+91 ", "0", "+971 ", "12 ", "500 "])
        found.append(f"{rng.choice(words)} {prefix}{number} {rng.choice(words)}".strip())
    spelled = ["ഒൻപത്", "പൂജ്യം", "രണ്ട്", "എട്ട്", "നാല്", "ഏഴ്", "ഒന്ന്", "ഡബിൾ", "nine", "four", "നയൻ", "randu", "oh"]
    for _ in range(_EXTENT):
        found.append(rng.choice([" ", ", ", "... "]).join(rng.choice(spelled) for _ in range(rng.randint(5, 12))))
    return found


_PERSONAL = (
    "വിളിക്കൂ 90000 00001", "+91-90000-12045", "(+91) 9000012045", "൯൦൦൦൦൧൨൦൪൫", "0471-2345678", "2345 6789 0124",
    "1800 425 1234", "4111 1111 1111 1111 12/28 123", "378282246310005", "അക്കൗണ്ട് നമ്പർ 12345678901",
    "A/c no. 1234 5678 901", "abcpe1234f",
    "PAN ABCDE1234F", "IFSC SBIN0070123", "KL-07-AB-1234", "NH 66 AB 1234", "a.b@example.in", "a@b", "rani@okaxis",
    "UPI: rani@newbank", "rani@newbank", "ഒൻപത് പൂജ്യം രണ്ട് എട്ട് നാല് ഏഴ് ഒന്ന് ആറ്", "ഡബിൾ എട്ട് ട്രിപ്പിൾ നാല് ഏഴ് ഒന്ന് ആറ്",
    "onpathu poojyam randu ettu naalu ezhu onnu aaru", "മാർക്ക് 78 85 90 67 88", "സ്കോർ 78-91-65-88-72", "നായിന്റെ മോൻ",
    "നായിന്റെ വാൽ", "Thayoli", "മണ്ടൻ", "മണ്ട", "വിഡ്ഢികൾ",
)  # fmt: skip
_MANNERS = (
    "നിന്റെ ബിൽ അടച്ചോ", "നീ കാത്തിരിക്കുക", "താങ്കളുടെ ബിൽ", "നീല നിറം", "ഒന്ന് അമർത്ത്", "നമ്പർ പറയ്.", "അമർത്തുക", "അമർത്തൂ",
    "ദയവായി കാത്തിരിക്കണം", "താങ്കളുടെ ബിൽ നിങ്ങൾക്ക് അടയ്ക്കാം", "താങ്കളുടെ ബിൽ താങ്കൾക്ക് അടയ്ക്കാം",
)  # fmt: skip


def _content() -> Iterator[Any]:
    reviewer = Reviewer(ContentChecks())
    for given in (*_PERSONAL, *_numbers()):
        row = {"text": given, "text_raw": f"{given} ", "translation": given, "flags": [], "content": []}
        reviewer.review(row, spoken=False)
        reviewer.review_translation(row)
        yield sorted(row.items()), reviewer.masked_raw(given), reviewer.pseudonym(given)


def _prompts() -> Iterator[Any]:
    for given in _MANNERS:
        counts: Counter[str] = Counter()
        yield find_impolite(given, counts), sorted(counts.items())


def _coarse(values: np.ndarray) -> list[str]:
    """A shape and a few figures of samples, as far as every machine agrees on them."""
    power = float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
    return [str(len(values)), f"{power:.3g}", f"{np.abs(values).max():.3g}"]


def _heard(payload: bytes, chunks: tuple[Chunk, ...] = ()) -> list[Any]:
    return [
        (piece.start, piece.end, piece.aligned, piece.first, piece.flags, piece.rate, _coarse(piece.samples))
        if piece.refusal is None
        else (piece.start, piece.end, piece.refusal.reason)
        for piece in speech.pieces(payload, chunks, AudioGates(max_segment_seconds=3.0))
    ]


def _audio() -> Iterator[Any]:
    left, right = tone(2.0, 48_000, 300), tone(2.0, 48_000, 500)
    silent = np.zeros_like(left)
    channels = ([left, right], [left, -left], [left, silent], [left, -0.98 * left], [left, right, silent])
    for form in SOUNDFILE_FORMATS:
        payload = encoded(tone(2.0, 16_000), 16_000, form)
        # How a lossy one begins and ends is the library's, whose version is in the key for itself.
        exact = form not in ("mp3", "vorbis", "opus")
        yield form, _outcome(_heard, payload) if exact else None, _outcome(_heard, payload[: len(payload) // 2])
        yield _outcome(_heard, payload[:30]), _outcome(_heard, b"")
    for mixed, rate in product(channels, (16_000, 44_100)):
        yield _outcome(_heard, encoded(np.stack(mixed, axis=1), rate, "float"))
    for level in (0.9, 1.0, 1.3, 40.0):
        yield _outcome(_heard, encoded(tone(2.0, amplitude=level), 16_000, "float"))
    for form in ("vorbis", "opus", "flac"):
        payload = encoded(tone(4.0, 48_000), 48_000, form)
        yield _outcome(lambda payload: len(_heard(payload)), payload * 2)
        for place in range(5, 95, 10):
            wrong = bytearray(payload)
            wrong[len(wrong) * place // 100] ^= 0x55
            yield _outcome(lambda payload: len(_heard(payload)), bytes(wrong))
    shorter = bytearray(encoded(tone(2.0), 16_000))
    shorter[40:44] = (16_000).to_bytes(4, "little")
    yield _outcome(_heard, bytes(shorter))


def _segmentation() -> Iterator[Any]:
    for spoken, silent in product((0.3, 0.7, 1.5), (0.0, 0.06, 0.12, 0.15, 0.18, 0.21, 0.3, 0.6)):
        window = bursts(spoken, silent, 1 + int(3.0 / (spoken + silent)))[:48_000]
        yield cut(window)
    chunk = lambda start, end: Chunk(start, end, "മഴ", None)  # noqa: E731
    places = [(0.0, 2.0), (1.0, 5.0), (2.0, 7.05), (2.0, 7.2), (3.0, 2.0), (-1.0, 2.0), (float("nan"), 1.0)]
    payload = wav(bursts(0.7, 0.3, 7))
    yield [place[:4] for place in _heard(payload)]
    for start, end in places:
        yield [place[:3] for place in _heard(payload, (chunk(start, end), chunk(0.0, 1.0)))]


def _sounds() -> dict[str, np.ndarray]:
    noise = np.random.default_rng(5).normal(0, 0.01, 48_000).astype(np.float32)
    return {
        "tone": tone(3.0), "quiet": tone(3.0, amplitude=0.001), "silent": np.zeros(48_000, np.float32),
        "short": tone(0.2), "bursts": bursts(0.7, 0.3, 4),
        "sparse": bursts(0.1, 0.35, 7), "noisy": bursts(0.7, 0.3, 3) + noise,
        "clipped": np.clip(tone(3.0, amplitude=1.6), -1, 1), "offset": tone(3.0) + np.float32(0.1), "noise": noise,
    }  # fmt: skip


def _quality() -> Iterator[Any]:
    for name, samples in _sounds().items():
        measures = measure(samples, samples, 16_000, text=TEXT)
        figures = {key: None if value is None else f"{value:.3g}" for key, value in measures.columns().items()}
        yield name, figures, _outcome(check_measures, measures, AudioGates()), measure_flags(measures, AudioGates())


def _fingerprint() -> Iterator[Any]:
    for sound in ("bursts", "noisy", "short", "silent"):
        yield fingerprint(np.rint(_sounds()[sound] * 8_000).astype("<i2"))


def _speaking_rate() -> Iterator[Any]:
    for words, seconds in product(range(1, 12, 2), (0.2, 1.0, 3.0)):
        yield _outcome(check_speaking_rate, " ".join([TEXT] * words), seconds, AudioGates())


def _codec() -> Iterator[Any]:
    codec = entry(TOKENS).codec
    assert codec is not None
    layers: list[Any] = [[7] * 25, [0, 4031], [4032], [-1], [1.5], [True], [None], [], None, "7", ["7"], 7]
    for layer, length in product(layers, (None, "", 25, "25", 25.5, 2, "x", float("nan"))):
        yield _outcome(check_codes, [layer] * 4, length, codec), _outcome(check_codes, [layer] * 3, length, codec)
    yield _outcome(check_codes, [[1], [1], [1], [1, 2]], None, codec)


def _labels() -> Iterator[Any]:
    cells = [*labels.GENDERS, *labels.DISTRICTS, *(alias for aliases in labels.DISTRICTS.values() for alias in aliases)]
    cells += ["MALE ", "Kannur District", "Chennai", "unknown", "", "nan", "x"]
    for cell in [*cells, None, 1, 1.0, float("nan"), ["male"], ["male", "x"], {"a": 1}]:
        yield labels.gender(cell), labels.district(cell), labels.unknown_labels({"gender": cell, "district": cell})
        for name in (NEWS, COMMENTS, DIALECTS):
            yield _outcome(labels.canonical_label, entry(name), "label", cell)
    for name in (NEWS, COMMENTS, DIALECTS):
        for label in entry(name).labels:
            yield labels.canonical_label(entry(name), "label", label.upper().replace(" ", "_"))


def _duplicate_text() -> Iterator[Any]:
    signs = ["500", "₹500", "$500", "5%", "5", ".5", "- 5", "-5", "1,000", "1000", "1.5", "5-10", "2:30", "a", "A"]
    for given in [*signs, *(f"മഴ {sign}" for sign in signs), *_texts()]:
        yield text_group(given)
    seen = SeenRows(Duplicates(text="drop"))
    for words in ("a", "b", "a"):
        yield _outcome(seen.mark, _row(text_group=group(words.encode())))


def _row(**columns: Any) -> dict[str, Any]:
    nothing = ("text_group", "audio_group", "translation", "label", "dialect", "district", "gender", "speaker")
    return {**dict.fromkeys(nothing), "flags": [], **columns}


def _duplicate_audio() -> Iterator[Any]:
    one, other = group(b"one"), group(b"other")
    said = [{}, {"text_group": one}, {"translation": "x"}, {"label": "x"}, {"dialect": "x"}, {"district": "x"}]
    said += [{"gender": "x"}, {"speaker": "x"}, {}, {"text_group": one}]
    for policy in (Duplicates(), Duplicates(audio="keep")):
        seen = SeenRows(policy)
        for clip, columns in product((one, other), said):
            row = _row(audio_group=clip, **columns)
            yield _outcome(seen.mark, row), row["flags"]
        yield sorted(seen.summary().items())


def _tables() -> dict[str, dict[str, bytes | str]]:
    """The files of small raw datasets in every layout, with rows that are right, odd and wrong."""
    sound, broken = wav(tone(2.0)), wav(tone(2.0))[:3_000]
    pair_types = {"audio": AUDIO_TYPE, "transcription": pa.string(), "translation": pa.string()}
    english = "It rained well today"
    pairs = [
        (payload, malayalam, translation)
        for payload in (sound, broken, wav(tone(0.1)), wav(np.zeros(32_000, np.float32)), None)
        for malayalam, translation in (
            (TEXT, english), (english, TEXT), (TEXT, None), (TEXT, TEXT), (TEXT, "12345"), (TEXT, "..."),
            (TEXT, "<br>"),
            (TEXT, "वर्षा आज हुई"), (TEXT, "innu nalla mazha peythu"), (None, english), ("innu mazha peythu", english),
        )
    ]  # fmt: skip
    chunked: list[dict[str, Any]] = [
        {"chunks": [{"start": 0, "end": 1, "text": TEXT}, {"start": 1, "end": 2, "text": f"{TEXT} 2"}]},
        {"chunks": [{"start": "00:00:00.0", "end": "00:00:02.0", "text": TEXT}]},
        {"chunks": [{"timestamp": [0, 2], "text": TEXT}]}, {"chunks": [{"begin": 0, "finish": 2, "text": TEXT}]},
        {"chunks": [{"from": 0, "until": 2, "text": TEXT}]}, {"chunks": [{"text": TEXT}]}, {"chunks": "["},
        {"chunks": [{"start": 0, "end": 1}, {"start": 1, "end": 2}], "text": TEXT},
        {"chunks": [], "text": TEXT, "district": "Kollam"}, {"text": None, "district": "Kollam"}, {"text": None},
        {"chunks": json.dumps([{"start": 0, "end": 1.5, "text": "മഴ \ud83d"}])}, {"chunks": "[" * 100_000},
    ]  # fmt: skip
    names = {"chunks": "verbatim", "text": "text", "district": "district"}
    metadata = [
        {"file_name": f"{place}.wav", **{names[key]: value for key, value in row.items()}}
        for place, row in enumerate(chunked)
    ]
    spoken = [
        {"path": "a", "text": target, "source_text": source, "source_language": from_, "tar_lang": to}
        for target, source, from_, to in (
            (TEXT, TEXT, "ml", "ml"), (english, TEXT, "ml", "en"), (TEXT, english, "en", "ml"),
            (english, TEXT, "en", "ml"),
        )
    ]  # fmt: skip
    news = [
        {"news": TEXT, "class": 0},
        {"news": TEXT},
        {"class": 1},
        {"news": [TEXT], "class": 2},
        {"news": 5, "class": 3},
    ]
    lines = [json.dumps(row, ensure_ascii=False) for row in news]
    lines += [
        "x",
        "[]",
        '{"news": ' + "[" * 900 + "]" * 900 + ', "class": 0}',
        json.dumps({"news": "മഴ \ud83d", "class": 0}),
    ]
    comments = ["text\tcategory", f"{TEXT}\tpositive", "super movie\tpositive", 'a "b"\tmixed feelings', "x\ty\tz", "x"]
    dialect = [
        "text,dialect",
        f"{TEXT},malabar",
        f'"{TEXT}, അതേ",cochin',
        f'"{TEXT},malabar',
        f"{TEXT} 2,x",
        f"{TEXT} 3,",
    ]
    dialect += [f'"തുടക്കം,malabar\n{TEXT} 4,malabar\n{TEXT} 5",cochin\nവരി,cochin']
    spoken_types = dict.fromkeys(("path", "text", "source_text", "source_language", "tar_lang"), pa.string())
    pair_rows = [
        {"audio": payload and {"bytes": payload, "path": None}, "transcription": malayalam, "translation": translation}
        for payload, malayalam, translation in pairs
    ]
    tokens = [TOKEN_ROW, {**TOKEN_ROW, "text": None}, {**TOKEN_ROW, "encoded_len": 3}, {**TOKEN_ROW, "text": "rain"}]
    return {
        SPEECH_WITH_ENGLISH: {"data/train-0.parquet": parquet_bytes(pair_rows, pair_types)},
        INDICVOICES: {
            "train/metadata.jsonl": "\n".join(map(json.dumps, metadata)), "train/unnamed.wav": sound,
            **{f"train/{row['file_name']}": sound for row in metadata},
        },
        INDICST: {"data/test-0.parquet": parquet_bytes(spoken, spoken_types)},
        NEWS: {"malayalam-train.jsonl": "\n".join(lines)}, COMMENTS: {"comments.tsv": "\n".join(comments)},
        DIALECTS: {"dialects.csv": "\n".join(dialect)},
        TOKENS: {"data/train-0.parquet": parquet_bytes(tokens, TOKEN_TYPES)},
    }  # fmt: skip


_OF_ROWS = (
    "row_id", "source_file", "source_row", "source_split", "text", "text_raw", "translation", "direction", "label",
    "dialect",
    "district", "gender", "speaker", "document", "segment_start", "segment_end", "codec", "duration", "reason",
)  # fmt: skip
_FLAGS_OF_ROWS = (
    "no_text", "text_unaligned", "no_translation", "translation_not_english", "sides_swapped", "lone_surrogate",
    "no_letters", "too_short_to_judge", "audio_corrupt", "audio_truncated", "audio_missing", "audio_silent",
    "too_short", "text_apart", "chunks_without_times",
)  # fmt: skip


def _rows() -> Iterator[Any]:
    settings = load_settings(flags={"workers": 0}, environ={})
    for name, files in _tables().items():
        with tempfile.TemporaryDirectory() as folder:
            raws = read_rows(entry(name), Path(folder), write_files(Path(folder), files))
            reviewer = Reviewer(settings.content)
            standardizer = Standardizer(entry(name), "0", "unknown", settings.audio, settings.text, reviewer)
            for row in silver_rows(settings, standardizer, raws, SeenRows(Duplicates(text="keep", audio="keep"))):
                flags = [flag for flag in row["flags"] if flag in _FLAGS_OF_ROWS]
                yield name, [row[column] for column in _OF_ROWS], flags, row["audio"] is not None


PROBES: dict[str, Callable[[], Iterator[Any]]] = {
    "rows": _rows, "text": _text, "content": _content, "prompts": _prompts, "audio": _audio,
    "segmentation": _segmentation, "quality": _quality, "fingerprint": _fingerprint, "speaking_rate": _speaking_rate,
    "codec": _codec, "labels": _labels, "duplicate_text": _duplicate_text, "duplicate_audio": _duplicate_audio,
}  # fmt: skip

if __name__ == "__main__":
    from data_foundry.preprocessing.rule_sets import RULE_SETS

    for probed in PROBES:
        print(f"    {probed!r}: {(RULE_SETS[probed].version, digest(probed))},".replace("'", '"'))
