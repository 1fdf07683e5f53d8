"""The same gold rows as heard on the phone: a split `test_phone` beside `test`, joined by `row_id`.

A row's channel is drawn from its id, so its phone version stays what it was whatever other rows come or go.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from data_foundry.config import Settings
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.errors import FoundryError
from data_foundry.records import SAMPLE_RATE
from data_foundry.telephony import LIBRARIES, TELEPHONY_RULES

if TYPE_CHECKING:
    import pyarrow as pa

PHONE = "phone"
SUFFIX = "_phone"


def phone_splits(settings: Settings, engine: AIEngine) -> tuple[str, ...]:
    """Return the names of an engine's phone splits; none for an engine that hears nothing."""
    hears = "channel" in ENGINES[engine].gold_columns
    return tuple(split + SUFFIX for split in settings.telephony.splits) if hears else ()


def phone_rules(settings: Settings, engine: AIEngine) -> dict[str, str]:
    """Return the versions of the rules and libraries that make an engine's phone rows."""
    if not phone_splits(settings, engine):
        return {}
    return {"telephony": TELEPHONY_RULES, **{name: f"{name} {version(name)}" for name in LIBRARIES}}


def phone_settings(settings: Settings, engine: AIEngine) -> dict[str, Any]:
    """Return the settings that change an engine's phone rows, by their names in a config file."""
    if not phone_splits(settings, engine):
        return {}
    return {f"telephony.{name}": value for name, value in settings.telephony.model_dump(mode="json").items()}


def phone_versions(settings: Settings, engine: AIEngine, split: str, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield (phone split, rows) for gold rows of a split that is to have phone versions; rows without audio have none.

    The rows are the same but for `audio` and the channel columns: `channel_parameters` is JSON of two objects,
    `channel` (a telephony.PhoneChannel, with which anyone can make the row again) and `applied` (what it came to: gain
    and SNR in dB, the speech level at the codec in dBov, bits per second, packets, packets lost). Raises FoundryError
    for audio that is not silver's.
    """
    import pyarrow as pa

    name = split + SUFFIX
    if name not in phone_splits(settings, engine):
        return
    heard = table.filter(table["audio"].is_valid())
    if not heard.num_rows:
        return
    sounds, parameters = [], []
    # Row by row, so that one row's samples lie in memory at a time, besides the files.
    for row_id, sound in zip(heard["row_id"].to_pylist(), heard["audio"], strict=True):
        wav, said = _phoned(row_id, sound["bytes"].as_py(), settings)
        sounds.append({"bytes": wav, "path": sound["path"].as_py()})
        parameters.append(said)
    made = {"audio": sounds, "channel": [PHONE] * len(sounds), "channel_parameters": parameters}
    columns = [
        pa.array(made[field.name], type=field.type) if field.name in made else heard.column(field.name)
        for field in heard.schema
    ]
    yield name, pa.Table.from_arrays(columns, schema=heard.schema)


def _phoned(row_id: str, wav: bytes, settings: Settings) -> tuple[bytes, str]:
    """Return a row's WAV file after its channel, and the channel's parameters as JSON."""
    import numpy as np
    import soundfile

    from data_foundry.telephony.channel import draw
    from data_foundry.telephony.codecs import BITS_PER_SECOND
    from data_foundry.telephony.line import transmit

    samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    if rate != SAMPLE_RATE or samples.ndim != 1:
        raise FoundryError(
            f"The audio of row {row_id} is not 16 kHz mono, but {rate} Hz in shape {samples.shape}.",
            "Run phase 2 again: silver holds 16 kHz mono.",
        )
    channel = draw(row_id, settings.telephony.seed, settings.telephony)
    sent = transmit(samples, channel)
    applied = {
        "gain_db": round(sent.gain_db, 2),
        "speech_level_db": None if sent.speech_level_db is None else round(sent.speech_level_db, 2),
        "snr_db": sent.snr_db,
        "bits_per_second": BITS_PER_SECOND[channel.codec],
        "frames": sent.frames,
        "lost_frames": sent.lost_frames,
    }
    file = io.BytesIO()
    pcm = np.clip(np.rint(sent.samples * 32768), -32768, 32767).astype(np.int16)
    soundfile.write(file, pcm, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue(), json.dumps({"applied": applied, "channel": channel.model_dump(mode="json")}, sort_keys=True)
