"""What callers send as a form: its fields, and its sound as the row that a model was trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from data_foundry.config import Settings
from data_foundry.records import SAMPLE_RATE, Rejected, Seconds
from data_foundry.serving.http.errors import Refused

_PARTS = 24
_HEADER_BYTES = 4096
_FIELD_BYTES = 16_384
_BOUNDARY_BYTES = 70
"""RFC 2046, 5.1.1."""
MAX_VALUES_A_SECOND = 192_000
"""Sampling rate times channels: stereo at 96 kHz. A header that asks for more is refused before decoding."""


@dataclass
class Form:
    """The fields of a form by name, and the bytes of its file; None: the form has none."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    file: bytes | None = None

    def one(self, name: str) -> str | None:
        """Return a field that may stand in the form once. Raises Refused."""
        values = self.fields.get(name, [])
        if len(values) > 1:
            raise Refused(400, "invalid_value", f"{name}: it may be given once.", name)
        return values[0] if values else None


def read_form(body: bytes, content_type: str, known: frozenset[str]) -> Form:
    """Read multipart/form-data whose one file is called "file" and whose other fields are `known`. Raises Refused."""
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data":
        raise Refused(415, "unsupported_media_type", "The body must be a form: Content-Type: multipart/form-data.")
    if not 0 < len(boundary) <= _BOUNDARY_BYTES:
        raise _not_a_form("its Content-Type names no boundary of 1 to 70 characters")
    reader = _FormReader(known)
    parser = MultipartParser(boundary, reader.callbacks())
    try:
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError):
        raise _not_a_form("its parts can't be told apart") from None
    if not reader.ended:
        raise _not_a_form("its last part is not closed")
    return reader.form


class _FormReader:
    """Puts a form together of what its parser calls out."""

    def __init__(self, known: frozenset[str]) -> None:
        self.form = Form()
        self.ended = False
        self._known = known
        self._parts = 0
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = b"", b""
        self._header_bytes = 0
        self._data = bytearray()
        self._part = ""
        self._is_file = False

    def callbacks(self) -> Any:
        return {name: getattr(self, name) for name in dir(self) if name.startswith("on_")}

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _PARTS:
            raise _not_a_form(f"it has over {_PARTS} parts")
        self._headers, self._header_bytes, self._data = {}, 0, bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._count_header(end - start)

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count_header(end - start)

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _HEADER_BYTES:
            raise _not_a_form("the headers of a part are too long")

    def on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name, self._value = b"", b""

    def on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise _not_a_form("a part has no name")
        name = options[b"name"].decode("utf-8", "replace")
        self._is_file = name == "file"
        if not self._is_file and name not in self._known:
            known = ", ".join(sorted({"file", *self._known}))
            raise Refused(400, "unknown_parameter", f"A field is not known here. Known are: {known}.")
        if self._is_file and self.form.file is not None:
            raise Refused(400, "invalid_value", "file: it may be given once.", "file")
        self._part = name

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]
        if not self._is_file and len(self._data) > _FIELD_BYTES:
            raise Refused(400, "invalid_value", f"{self._part}: it is too long.", self._part)

    def on_part_end(self) -> None:
        if self._is_file:
            self.form.file = bytes(self._data)
            return
        try:
            value = self._data.decode("utf-8")
        except UnicodeDecodeError:
            raise Refused(400, "invalid_value", f"{self._part}: it must be text in UTF-8.", self._part) from None
        self.form.fields.setdefault(self._part, []).append(value)

    def on_end(self) -> None:
        self.ended = True


def speech_row(file: bytes, settings: Settings) -> dict[str, Any]:
    """Return callers' audio as a row: 16 kHz mono WAV, made as phase 2 makes it of what models are trained on.

    Raises Rejected for what is no audio, holds nothing, or is longer than the settings allow; never decodes more.
    """
    import numpy as np

    from data_foundry.preprocessing.audio import Mix, pcm16, read_blocks, to_16k, wav_bytes
    from data_foundry.preprocessing.decoding import open_recording

    with open_recording(file, settings.serving.max_audio_seconds, by_ffmpeg=False) as recording:
        if recording.rate * recording.channels > MAX_VALUES_A_SECOND:
            raise Rejected("audio_unsupported", f"{recording.channels} channels of {recording.rate} Hz")
        blocks = list(read_blocks(recording))
    frames = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    mix = Mix(recording.channels, recording.within_full_scale)
    mix.hear(frames)
    samples = to_16k(mix.of(frames), recording.rate)
    seconds: Seconds = len(samples) / SAMPLE_RATE
    if seconds < settings.audio.min_seconds:
        raise Rejected("too_short", f"{seconds:.2f} s, the least is {settings.audio.min_seconds:g} s")
    power = float(np.square(pcm16(samples) / np.float64(32768)).mean())
    level = 10 * np.log10(power) if power else -np.inf
    if level < settings.audio.min_rms_dbfs:
        least = settings.audio.min_rms_dbfs
        raise Rejected("audio_silent", f"it lies under {least:g} dB of full scale")
    return {"audio": {"bytes": wav_bytes(samples), "path": None}, "duration": seconds}


def _not_a_form(why: str) -> Refused:
    return Refused(400, "invalid_form", f"The body can't be read as a form: {why}.")
