"""The unified schema: what one silver row holds, as a pydantic model and, derived from it, as an Arrow schema."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import pyarrow as pa

Seconds = float
Hertz = int
Decibels = float

SAMPLE_RATE: Hertz = 16_000


class AIEngine(StrEnum):
    """The engines of the phone line that data is routed to."""

    STT = "stt"
    DIALECT = "dialect"
    NLU = "nlu"
    SENTIMENT = "sentiment"
    TRANSLATION = "translation"
    TTS = "tts"


class Rejected(Exception):
    """A row that a gate refused: `reason` is a snake_case code that is counted, `detail` is for a person."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


# Arrow type names, resolved by `arrow_type`, so that planning never has to import pyarrow.
String = Annotated[str, "string"]
Int64 = Annotated[int, "int64"]
Float64 = Annotated[float, "float64"]


class Audio(BaseModel):
    """Encoded audio as the Hub's Audio feature stores it: 16 kHz mono PCM16 WAV in `bytes`, a file name in `path`."""

    model_config = ConfigDict(defer_build=True)

    bytes: bytes
    path: str


class ContentFlag(BaseModel):
    """What a content rule found in `text`: characters `start` to `end`; `evidence` never repeats personal data."""

    model_config = ConfigDict(defer_build=True)

    rule: str
    start: int
    end: int
    evidence: str


class SilverRow(BaseModel):
    """One standardized row; `None` means that the source does not say, or that there is nothing to measure.

    `text` is the Malayalam side, normalised; `text_raw` the same as found. `translation` is the English side and
    `direction` ("ml-en" or "en-ml") which side was the source. `codes` are codec tokens, one list per layer.
    `duration` and the segment bounds are seconds; a row cut out of a longer clip carries its bounds in that clip, a row
    of codec tokens the duration of the speech that they stand for.
    The measures of a clip, from `peak` to `mos`, are defined in `preprocessing.quality`. Rows with an equal
    `text_group` (or `audio_group`) say the same text (or hold the same samples), in any dataset; near-same sound has a
    near-same `audio_fingerprint` (see `preprocessing.fingerprint`). `prompt` names what a row was spoken or written
    after (a prompt, an author's template), `document` what it was taken from; both within their dataset only.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    row_id: String
    dataset: String
    revision: String
    source_file: String
    source_row: Int64
    source_split: String
    text: Annotated[str | None, "string"] = None
    text_raw: Annotated[str | None, "string"] = None
    malayalam_ratio: Annotated[float | None, "float64"] = None
    audio: Annotated[Audio | None, "audio"] = None
    duration: Annotated[Seconds | None, "float64"] = None
    source_rate: Annotated[Hertz | None, "int32"] = None
    segment_start: Annotated[Seconds | None, "float64"] = None
    segment_end: Annotated[Seconds | None, "float64"] = None
    peak: Annotated[Decibels | None, "float64"] = None
    clipping_share: Annotated[float | None, "float64"] = None
    rms: Annotated[Decibels | None, "float64"] = None
    speech_level: Annotated[Decibels | None, "float64"] = None
    silence_share: Annotated[float | None, "float64"] = None
    snr: Annotated[Decibels | None, "float64"] = None
    bandwidth: Annotated[float | None, "float64"] = None
    dc_offset: Annotated[float | None, "float64"] = None
    speaking_rate: Annotated[float | None, "float64"] = None
    mos: Annotated[float | None, "float64"] = None
    text_group: Annotated[str | None, "string"] = None
    audio_group: Annotated[str | None, "string"] = None
    audio_fingerprint: Annotated[bytes | None, "binary"] = None
    speaker: Annotated[str | None, "string"] = None
    gender: Annotated[str | None, "string"] = None
    district: Annotated[str | None, "string"] = None
    dialect: Annotated[str | None, "string"] = None
    prompt: Annotated[str | None, "string"] = None
    document: Annotated[str | None, "string"] = None
    label: Annotated[str | None, "string"] = None
    translation: Annotated[str | None, "string"] = None
    direction: Annotated[str | None, "string"] = None
    codes: Annotated[list[list[int]] | None, "codes"] = None
    codec: Annotated[str | None, "string"] = None
    licence: String = "unknown"
    flags: Annotated[list[str], "strings"] = []
    content: Annotated[list[ContentFlag], "content"] = []


class RejectedRow(SilverRow):
    """A silver row that a gate refused, without its audio: the raw file still holds it, at `source_row`."""

    reason: String
    detail: Annotated[str | None, "string"] = None


@cache
def arrow_type(kind: str) -> pa.DataType:
    """Return the Arrow type that a column of a row model, or a derived column of gold, names."""
    import pyarrow as pa

    types: dict[str, Any] = {
        "string": pa.string(),
        "bool": pa.bool_(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float64": pa.float64(),
        "binary": pa.binary(),
        "strings": pa.list_(pa.string()),
        "codes": pa.list_(pa.list_(pa.int32())),
        "content": pa.list_(
            pa.struct([("rule", pa.string()), ("start", pa.int32()), ("end", pa.int32()), ("evidence", pa.string())])
        ),
        "audio": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    }
    return types[kind]


@cache
def arrow_schema(model: type[BaseModel] = SilverRow) -> pa.Schema:
    """Return the Arrow schema of a row model, field for field in the model's order."""
    import pyarrow as pa

    return pa.schema([(name, arrow_type(field.metadata[0])) for name, field in model.model_fields.items()])


def with_features(schema: pa.Schema) -> pa.Schema:
    """Return a schema with the feature types of `datasets` in its metadata, by which it opens audio as Audio."""
    features = {field.name: _feature(field.name, field.type) for field in schema}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def _feature(name: str, kind: pa.DataType) -> dict[str, Any]:
    import pyarrow as pa

    if name == "audio":
        return {"sampling_rate": SAMPLE_RATE, "_type": "Audio"}
    if pa.types.is_list(kind):
        return {"feature": _feature("", kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.name, field.type) for field in kind}
    return {"dtype": {"double": "float64"}.get(str(kind), str(kind)), "_type": "Value"}


def row_id(dataset: str, source_file: str, source_row: int, segment: int = 0) -> str:
    """Return the id of a row: 16 hex digits that depend on where it came from, not on the commit or on its content."""
    origin = f"{dataset}\n{source_file}\n{source_row}\n{segment}"
    return hashlib.sha256(origin.encode()).hexdigest()[:16]
