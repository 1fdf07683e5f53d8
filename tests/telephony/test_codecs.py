"""The codecs against what their standards say, and against other implementations of them."""

import io
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from data_foundry.telephony.codecs import BITS_PER_SECOND, PHONE_RATE, encoded, round_trip
from tests.telephony.voice_builders import decibels, shift, voice

CODECS = ("alaw", "ulaw", "gsm", "opus_nb")
EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)


def alaw_level(code: int) -> int:
    """The 16-bit level of an A-law code by ITU-T G.711, table 1: 13 segments, even bits inverted, 13-bit levels."""
    code ^= 0x55
    segment, step = (code >> 4) & 7, code & 15
    # In units of the 13-bit scale (4096 is full scale) where a level is the middle of its interval.
    magnitude = 2 * step + 1 if segment == 0 else (2 * step + 33) << (segment - 1)
    return (magnitude if code & 0x80 else -magnitude) * 8


def mulaw_level(code: int) -> int:
    """The 16-bit level of a mu-law code by ITU-T G.711, table 2: 15 segments, all bits inverted, 14-bit levels."""
    code ^= 0xFF
    segment, step = (code >> 4) & 7, code & 15
    magnitude = ((2 * step + 33) << segment) - 33
    return (-magnitude if code & 0x80 else magnitude) * 4


LEVELS = {"alaw": alaw_level, "ulaw": mulaw_level}
SUBTYPES = {"alaw": "ALAW", "ulaw": "ULAW"}


def as_pcm16(payload: bytes, codec: str) -> np.ndarray:
    """Codes without a header, decoded by libsndfile."""
    form = {"samplerate": 8000, "channels": 1, "format": "RAW", "subtype": SUBTYPES[codec]}
    return soundfile.read(io.BytesIO(payload), dtype="int16", **form)[0]


def width(level: np.ndarray, codec: str) -> np.ndarray:
    """The width of the interval that a level stands for, in steps of 16 bits."""
    if codec == "alaw":
        segment = np.maximum(np.floor(np.log2(np.maximum(np.abs(level), 1) / 256.0)), 0)
        return 16 * 2**segment
    return 8 * 2 ** np.floor(np.log2((np.abs(level) / 4 + 33) / 33 + 1e-9))


@pytest.mark.parametrize(
    ("codec", "code", "level"),
    # The ends and the middle of the tables as the standard prints them: 13-bit levels of A-law, 14-bit of mu-law.
    [("alaw", 0xAA, 4032 * 8), ("alaw", 0xD5, 1 * 8), ("alaw", 0x55, -1 * 8), ("alaw", 0x2A, -4032 * 8),
     ("ulaw", 0x80, 8031 * 4), ("ulaw", 0xFF, 0), ("ulaw", 0x7F, 0), ("ulaw", 0x00, -8031 * 4)],
)  # fmt: skip
def test_the_formula_gives_the_levels_printed_in_g711(codec, code, level):
    assert LEVELS[codec](code) == level
    assert as_pcm16(bytes([code]), codec)[0] == level


@pytest.mark.parametrize("codec", LEVELS)
def test_all_256_codes_decode_to_the_levels_of_g711(codec):
    expected = [LEVELS[codec](code) for code in range(256)]
    assert as_pcm16(bytes(range(256)), codec).tolist() == expected


@pytest.mark.parametrize("codec", LEVELS)
def test_every_16_bit_sample_becomes_the_level_of_its_interval(codec):
    heard = round_trip(EVERY_SAMPLE, codec)
    assert set(heard.tolist()) == {LEVELS[codec](code) for code in range(256)}
    # Beyond the last decision value a codec is overloaded.
    limit = {"alaw": 4096 * 8, "ulaw": 8159 * 4}[codec]
    sent = np.clip(EVERY_SAMPLE.astype(int), -limit, limit)
    error = np.abs(heard.astype(int) - sent)
    assert (error <= width(heard, codec) / 2).all()
    assert np.array_equal(round_trip(heard, codec), heard), "a level is its own level"


RAW = {
    "ffmpeg": ["ffmpeg", "-nostdin", "-v", "error", "-f", "{law}", "-ar", "8000", "-i", "{source}", "{target}"],
    "sox": [
        "sox",
        "-t",
        "raw",
        "-r",
        "8000",
        "-c",
        "1",
        "-e",
        "{law}",
        "{source}",
        "-b",
        "16",
        "-e",
        "signed",
        "{target}",
    ],
}
PROGRAMS = {
    "ffmpeg": ["ffmpeg", "-nostdin", "-v", "error", "-i", "{source}", "-c:a", "pcm_{law}", "{target}"],
    "sox": ["sox", "-D", "{source}", "-e", "{law}", "{target}"],
}
LAWS = {("ffmpeg", "alaw"): "alaw", ("ffmpeg", "ulaw"): "mulaw", ("sox", "alaw"): "a-law", ("sox", "ulaw"): "u-law"}


@pytest.mark.parametrize("codec", LEVELS)
@pytest.mark.parametrize("program", RAW)
def test_other_programs_decode_all_256_codes_to_the_same_levels(program, codec, tmp_path):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    source, target = tmp_path / "codes.raw", tmp_path / "out.wav"
    source.write_bytes(bytes(range(256)))
    words = {"source": source, "target": target, "law": LAWS[program, codec]}
    subprocess.run([word.format(**words) for word in RAW[program]], check=True, capture_output=True, timeout=60)
    assert soundfile.read(target, dtype="int16")[0].tolist() == [LEVELS[codec](code) for code in range(256)]


@pytest.mark.parametrize("codec", LEVELS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_other_programs_choose_another_level_only_close_to_where_two_intervals_meet(program, codec, tmp_path):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    source, target = tmp_path / "every.wav", tmp_path / "out.wav"
    soundfile.write(source, EVERY_SAMPLE, PHONE_RATE, subtype="PCM_16")
    law = LAWS[program, codec]
    command = [word.format(source=source, target=target, law=law) for word in PROGRAMS[program]]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    theirs, ours = soundfile.read(target, dtype="int16")[0].astype(int), round_trip(EVERY_SAMPLE, codec).astype(int)
    # Both round to 13 or 14 bits before they encode, so their intervals end up to 8 steps of 16 bits beside.
    differ = np.flatnonzero(theirs != ours)
    border = (theirs[differ] + ours[differ]) / 2
    assert (np.abs(EVERY_SAMPLE[differ] - border) <= 8 + np.abs(theirs[differ] - ours[differ]) / 4).all()
    assert len(differ) < 0.02 * len(EVERY_SAMPLE)


@pytest.mark.parametrize("codec", CODECS)
def test_a_codec_neither_shifts_nor_shortens_nor_changes_the_level(codec):
    sent = np.rint(voice(4.013, PHONE_RATE) * 32767).astype(np.int16)
    heard = round_trip(sent, codec)
    assert heard.shape == sent.shape and heard.dtype == np.int16
    assert shift(sent, heard) == 0
    assert decibels(heard) == pytest.approx(decibels(sent), abs=1.0)


@pytest.mark.parametrize(("codec", "least"), [("alaw", 33.0), ("ulaw", 33.0), ("gsm", 6.0), ("opus_nb", 6.0)])
def test_a_codec_leaves_the_waveform_it_is_known_for(codec, least):
    sent = np.rint(voice(4, PHONE_RATE) * 32767).astype(np.int16)
    error = round_trip(sent, codec).astype(float) - sent
    assert decibels(sent.astype(float)) - decibels(error) > least


@pytest.mark.parametrize(
    ("codec", "low", "high"),
    [("alaw", 64_000, 64_000), ("ulaw", 64_000, 64_000), ("gsm", 13_000, 13_000), ("opus_nb", 6_000, 12_000)],
)  # fmt: skip
def test_a_codec_has_the_bit_rate_it_is_said_to_have(codec, low, high):
    sent = [np.rint(voice(seconds, PHONE_RATE) * 32767).astype(np.int16) for seconds in (8, 40)]
    # The difference of two files: without their headers.
    bits = 8 * (len(encoded(sent[1], codec)) - len(encoded(sent[0], codec)))
    assert low * 0.98 <= bits / 32 <= high * 1.02
    assert BITS_PER_SECOND[codec] == high, "as it is recorded"


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [0, 1, 2, 159, 160, 161, 320, 321])
def test_any_number_of_samples_comes_back(codec, size):
    sent = np.rint(voice(1, PHONE_RATE) * 32767).astype(np.int16)[:size]
    assert len(round_trip(sent, codec)) == size


@pytest.mark.parametrize("codec", CODECS)
def test_the_same_samples_come_back_each_time(codec):
    sent = np.rint(voice(2, PHONE_RATE) * 32767).astype(np.int16)
    assert np.array_equal(round_trip(sent, codec), round_trip(sent, codec))
