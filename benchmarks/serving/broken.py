"""Requests that no well-meaning client sends: broken audio, forms, JSON, headers and HTTP, drawn from a seed."""

from __future__ import annotations

import io
import json
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import soundfile

AUDIO_PATHS = ("/v1/audio/transcriptions", "/v1/dialect")
TEXT_PATHS = (
    "/v1/understand", "/v1/sentiment", "/v1/translate", "/v1/dialect", "/v1/audio/tokens", "/v1/audio/speech",
    "/v1/feedback",
)  # fmt: skip
OTHER_PATHS = ("/health", "/ready", "/", "/v1/models", "/v1/models/stt", "/v1/status", "/metrics", "/openapi.json")
MALAYALAM = "എന്റെ ബാലൻസ് എത്രയാണ് നന്ദി"


@dataclass(frozen=True)
class BrokenRequest:
    """One request; `raw` is sent as it is, in place of what the other fields would make."""

    kind: str
    method: str = "POST"
    path: str = "/"
    headers: dict[str, str | bytes] = field(default_factory=dict)
    content: bytes = b""
    raw: bytes | None = None


def broken_requests(seed: int, count: int) -> Iterator[BrokenRequest]:
    """Yield requests of every kind; the same ones for a seed."""
    draw = random.Random(seed)
    sounds = _sounds()
    makers: tuple[tuple[float, Callable[[random.Random, list[bytes]], BrokenRequest]], ...] = (
        (0.45, _audio), (0.2, _form), (0.2, _json), (0.07, _headers), (0.05, _elsewhere), (0.03, _raw),
    )  # fmt: skip
    weights, kinds = zip(*makers, strict=True)
    for _ in range(count):
        yield draw.choices(kinds, weights)[0](draw, sounds)


def wav(samples: np.ndarray, rate: int, kind: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(file, "w", rate, channels, subtype, format=kind) as writer:
        # In blocks: libsndfile's Vorbis encoder ends the process where it is given minutes at once.
        for start in range(0, len(samples), 8192):
            writer.write(samples[start : start + 8192])
    return file.getvalue()


@cache
def _silence(seconds: int, kind: str) -> bytes:
    return wav(np.zeros(seconds * 8000, np.int16), 8000, kind)


@cache
def _sounds() -> list[bytes]:
    """Half a second of a wavering tone in every coding that is taken."""
    time = np.arange(8000) / 16_000
    tone = (0.2 * np.sin(2 * np.pi * 300 * time) * (1 + 0.5 * np.sin(2 * np.pi * 4 * time))).astype(np.float32)
    stereo = np.stack([tone, 0.5 * tone], axis=1)
    return [
        wav(tone[:4000], 8000, "WAV", "ULAW"), wav(tone[:4000], 8000, "WAV", "ALAW"), wav(tone, 16_000),
        wav(stereo, 44_100), wav(tone, 48_000, "WAV", "PCM_24"), wav(tone, 16_000, "WAV", "FLOAT"),
        wav(tone, 16_000, "WAV", "DOUBLE"), wav(tone, 8000, "WAV", "GSM610"), wav(tone, 8000, "WAV", "IMA_ADPCM"),
        wav(tone, 16_000, "FLAC"), wav(stereo, 48_000, "FLAC"), wav(tone, 16_000, "OGG"),
        wav(tone, 48_000, "OGG", "OPUS"), wav(tone, 16_000, "MP3"),
        wav(stereo, 44_100, "MP3"), wav(tone, 16_000, "AIFF"), wav(tone, 16_000, "AU"),
        wav(tone, 16_000, "CAF"), wav(tone, 16_000, "W64"), wav(tone, 16_000, "RF64"),
    ]  # fmt: skip


def _broken_sound(draw: random.Random, sounds: list[bytes]) -> tuple[str, bytes]:
    sound = bytearray(draw.choice(sounds))
    way = draw.choice(
        (
            "whole",
            "cut",
            "flipped",
            "head flipped",
            "number",
            "noise",
            "spliced",
            "doubled",
            "silent",
            "nan",
            "long",
            "lie",
        )
    )
    match way:
        case "cut":
            del sound[draw.randrange(len(sound)) :]
        case "flipped":
            for _ in range(draw.randrange(1, 200)):
                sound[draw.randrange(len(sound))] ^= 1 << draw.randrange(8)
        case "head flipped":
            for _ in range(draw.randrange(1, 12)):
                sound[draw.randrange(min(64, len(sound)))] = draw.randrange(256)
        case "number":
            at = draw.randrange(min(60, len(sound) - 4))
            number = draw.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE, 65_535, draw.getrandbits(32)))
            sound[at : at + 4] = struct.pack(draw.choice("<>") + "I", number)
        case "noise":
            sound = bytearray(draw.randbytes(draw.randrange(5000)))
        case "spliced":
            other = draw.choice(sounds)
            at = draw.randrange(len(sound))
            sound[at:] = other[draw.randrange(len(other)) :]
        case "doubled":
            sound *= draw.randrange(2, 5)
        case "silent":
            sound = bytearray(wav(np.zeros(draw.randrange(20_000)), 8000, draw.choice(("WAV", "FLAC", "OGG"))))
        case "nan":
            samples = np.full(4000, draw.choice((np.nan, np.inf, -np.inf, 1e30)), np.float32)
            sound = bytearray(wav(samples, 16_000, "WAV", "FLOAT"))
        case "long":
            seconds = draw.choice((29, 31, 600))
            sound = bytearray(_silence(seconds, draw.choice(("FLAC", "OGG"))))
        case "lie":
            rate, channels = draw.choice((0, 1, 8000, 400_000, 0xFFFFFFFF)), draw.choice((0, 1, 2, 33, 65_535))
            bits, tag = draw.choice((0, 4, 8, 16, 24, 32, 64, 65_535)), draw.choice((0, 1, 3, 6, 7, 17, 49, 0xFFFE))
            sound = bytearray(
                b"RIFF" + struct.pack("<I", draw.getrandbits(32)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, tag,
                channels, rate, draw.getrandbits(32), draw.getrandbits(16), bits)
                + b"data" + struct.pack("<I", draw.getrandbits(draw.choice((8, 16, 32)))) + draw.randbytes(2000)
            )  # fmt: skip
    return way, bytes(sound)


def _part(name: bytes, content: bytes, more: bytes = b"") -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + content + b"\r\n"


def _audio(draw: random.Random, sounds: list[bytes]) -> BrokenRequest:
    way, sound = _broken_sound(draw, sounds)
    body = _part(b"file", sound, b'; filename="call.wav"')
    if draw.random() < 0.5:
        shape = draw.choice(("json", "text", "verbose_json", "srt", ""))
        body = _part(b"response_format", shape.encode()) + body
    headers: dict[str, str | bytes] = {"Content-Type": "multipart/form-data; boundary=b"}
    return BrokenRequest(f"audio: {way}", "POST", draw.choice(AUDIO_PATHS), headers, body + b"--b--\r\n")


def _form(draw: random.Random, sounds: list[bytes]) -> BrokenRequest:
    fields = [
        _part(b"file", draw.choice(sounds), b'; filename="' + draw.randbytes(8).replace(b"\n", b"") + b'"'),
        _part(b"file", b""), _part(b"file", draw.choice(sounds)),
        _part(b"model", draw.choice((b"stt", b"\xff", b"nlu"))),
        _part(b"temperature", draw.choice((b"0", b"-1", b"1e999", b"nan", b"0x1", "൧".encode()))),
        _part(b"language", draw.choice((b"ml", b"en", b"\0", b"m" * 9000))), _part(b"prompt", draw.randbytes(50)),
        _part(b"stream", b"true"), _part(b"", b"x"), _part(draw.randbytes(6), b"x"), _part(b"file[]", b"x"),
        b"--b\r\n\r\nno header\r\n", b"--b\r\nContent-Disposition: form-data\r\n\r\n\r\n", b"--b\nname: x\n\n",
        _part(b"prompt", b"x" * draw.choice((10, 20_000))),
        b"--b\r\n" + b"H: " + b"v" * draw.choice((10, 9000)) + b"\r\n",
    ]  # fmt: skip
    body = b"".join(draw.choices(fields, k=draw.randrange(0, 40) if draw.random() < 0.1 else draw.randrange(4)))
    body += draw.choice((b"--b--\r\n", b"--b--", b"", b"--b", b"\r\n--b--\r\ntrailing"))
    if draw.random() < 0.3 and body:
        broken = bytearray(body)
        for _ in range(draw.randrange(1, 20)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        body = bytes(broken)
    kind = draw.choice((
        "multipart/form-data; boundary=b", 'multipart/form-data; boundary="b"', "multipart/form-data",
        "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 300, "multipart/mixed; boundary=b",
        "multipart/form-data; charset=idna; boundary=b", "application/x-www-form-urlencoded", "application/json", "",
        "multipart/form-data; boundary*=utf-8''b", "multipart/form-data; boundary=b; boundary=c", "audio/wav",
    ))  # fmt: skip
    return BrokenRequest("form", "POST", draw.choice(AUDIO_PATHS), {"Content-Type": kind} if kind else {}, body)


def _value(draw: random.Random, depth: int = 0) -> object:
    values = (
        None, True, 0, -1, 1e308, 10**400, "", " ", "\0", "\ud800", "\U0010ffff", "‌‍", MALAYALAM, "a" * 2001,
        MALAYALAM * 60, "{}", "' OR 1=1 --", "../../etc/passwd", "<script>", "%s%n", "ml-en", "en-ml", "stt", [], {},
        draw.getrandbits(70), draw.random(),
    )  # fmt: skip
    if depth < 3 and draw.random() < 0.15:
        return [_value(draw, depth + 1) for _ in range(draw.randrange(4))]
    return draw.choice(values)


def _json(draw: random.Random, sounds: list[bytes]) -> BrokenRequest:
    names = ("text", "input", "direction", "voice", "response_format", "speed", "model", "call_id", "truth", "adapter",
             "task", "instructions", "__proto__", "text ", "")  # fmt: skip
    body: object = {name: _value(draw) for name in draw.sample(names, draw.randrange(5))}
    if draw.random() < 0.3:
        body = {**dict(body), "text": MALAYALAM, "input": MALAYALAM} if isinstance(body, dict) else body
    if draw.random() < 0.15:
        body = _value(draw)
    content = json.dumps(body, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    if draw.random() < 0.2:
        broken = bytearray(content)
        for _ in range(draw.randrange(1, 6)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        content = bytes(broken)
    if draw.random() < 0.1:
        odd = (b"", b"[" * 4000, b'{"text":' * 2000, b'{"text": NaN}', b'{"text": ' + b"9" * 5000 + b"}",
               b"\xff\xfe{\0}\0", b"x" * 60_000,
               b'{"text": "a", "text": "b"}', b"null", b'\xef\xbb\xbf{"text": "a"}')  # fmt: skip
        content = draw.choice(odd)
    kind = draw.choice(("application/json",) * 8 + ("application/json; charset=utf-7", "text/plain", "application/xml"))
    return BrokenRequest("json", "POST", draw.choice(TEXT_PATHS), {"Content-Type": kind}, content)


def _headers(draw: random.Random, sounds: list[bytes]) -> BrokenRequest:
    name = draw.choice(("Authorization", "X-Call-Id", "Content-Type", "Accept", "Range", "Expect", "Content-Encoding",
                        "X-Forwarded-For", "Origin", "If-None-Match", "Cookie", "Content-Length"))  # fmt: skip
    values: tuple[str | bytes, ...] = (
        "", "Bearer", "Bearer " + "x" * 3000, "Basic ////", "Basic eA==", b"\xff\xfe", "a/b", "x" * 200, "gzip", "*/*",
        "bytes=0-", "100-continue", "0", "-1", "1e3", "99999999999999999999", "ok-1", MALAYALAM.encode(),
    )  # fmt: skip
    body = json.dumps({"text": MALAYALAM}).encode()
    headers: dict[str, str | bytes] = {"Content-Type": "application/json", name: draw.choice(values)}
    return BrokenRequest("headers", draw.choice(("POST", "GET")), draw.choice(TEXT_PATHS + OTHER_PATHS), headers, body)


def _elsewhere(draw: random.Random, sounds: list[bytes]) -> BrokenRequest:
    odd = ("/v1", "/v1/", "/v1//understand", "/v1/models/%2e%2e", "/v1/models/" + "x" * 3000, "/v1/models/%00", "/docs",
           "/v1/models/%ff", "/page/../../secret", "/page/live.js", "/page/%2e%2e%2fapp.py", "/%", "/v1/understand/",
           "/V1/UNDERSTAND", "/v1/status?x=" + "y" * 500, "/..%2f..%2fetc/passwd", "//v1/status")  # fmt: skip
    method = draw.choice(("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW"))
    path = draw.choice(odd + TEXT_PATHS + AUDIO_PATHS + OTHER_PATHS)
    return BrokenRequest("elsewhere", method, path, {}, draw.randbytes(draw.choice((0, 20))))


def _raw(draw: random.Random, sounds: list[bytes]) -> BrokenRequest:
    head = b"POST /v1/sentiment HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    body = json.dumps({"text": MALAYALAM}).encode()
    ways = (
        head + b"Content-Length: 10\r\n\r\n" + body,  # shorter than what follows
        head + b"Content-Length: %d\r\n\r\n" % (len(body) + 50) + body,  # longer, and the caller goes away
        head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body,
        head + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + body,
        head + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        head + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", head + b"Content-Length: -5\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET /" + b"a" * 20_000,
        b"\r\n\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v1/status HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", draw.randbytes(300),
    )  # fmt: skip
    return BrokenRequest("raw", "RAW", "", raw=draw.choice(ways))
