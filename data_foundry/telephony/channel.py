"""Which phone a row is heard through: every parameter, drawn from a hash of the row's id."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_foundry.records import Hertz
from data_foundry.telephony_settings import Concealment, Level, LineNoise, PhoneCodec, Telephony

FRAME_MS = 20
"""What a packet holds: the frame of GSM and of Opus, and the usual packet of G.711 (RFC 3551)."""

Name = TypeVar("Name", bound=str)


class PhoneChannel(BaseModel):
    """One phone line: together with the samples that go in, all that decides which come out.

    `low_hz` to `high_hz`: the band. `level_db`: gain before the codec. `noise` is added at `snr_db`: the active
    speech level (ITU-T P.56) over the noise's RMS, both in the band and before the codec; None without noise. Packets
    of `frame_ms` are lost in bursts (see `loss.lost_frames`): `loss_share` of all, in bursts of `burst_frames` on
    average. `seed` decides the noise's waveform and which packets are lost.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    codec: PhoneCodec
    low_hz: Annotated[Hertz, Field(ge=100, lt=2000)] = 300
    high_hz: Annotated[Hertz, Field(ge=2000, le=3700)] = 3400
    level_db: Level = 0.0
    noise: LineNoise = "none"
    snr_db: Level | None = None
    loss_share: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    burst_frames: Annotated[float, Field(ge=1.0)] = 1.0
    frame_ms: Annotated[int, Field(ge=FRAME_MS, le=FRAME_MS)] = FRAME_MS
    concealment: Concealment = "repeat"
    seed: Annotated[int, Field(ge=0, lt=1 << 64)] = 0

    @model_validator(mode="after")
    def _noise_has_a_level(self) -> PhoneChannel:
        if (self.noise == "none") != (self.snr_db is None):
            raise ValueError("snr_db must be given with a noise, and only then")
        return self


def draw(row_id: str, seed: int, settings: Telephony) -> PhoneChannel:
    """Return the channel of a row.

    Each parameter has a hash of its own, of the row's id, the seed and the parameter's name: no other row, no order and
    no number of workers changes it, and a setting that changes one parameter leaves the others as they were.
    """

    def uniform(name: str) -> float:
        return _hash(row_id, seed, name) / 2**64

    def between(name: str, limits: tuple[float, float], digits: int) -> float:
        low, high = limits
        return round(low + (high - low) * uniform(name), digits)

    noise = _weighted(settings.noises, uniform("noise"))
    lossy = uniform("lossy") < settings.lossy_share
    return PhoneChannel(
        codec=_weighted(settings.codecs, uniform("codec")),
        level_db=between("level_db", settings.level_db, 2),
        noise=noise,
        snr_db=None if noise == "none" else between("snr_db", settings.snr_db, 2),
        loss_share=between("loss_share", settings.loss_share, 4) if lossy else 0.0,
        burst_frames=between("burst_frames", settings.burst_frames, 2) if lossy else 1.0,
        concealment=settings.concealment,
        seed=_hash(row_id, seed, "waveform"),
    )


def _hash(row_id: str, seed: int, name: str) -> int:
    """Return 64 bits, the same on every machine."""
    digest = hashlib.blake2b(f"{seed}\n{name}\n{row_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _weighted(weights: Mapping[Name, float], place: float) -> Name:
    """Return the name at a place from 0 to 1 of the weights laid side by side, in the order of the names."""
    names = sorted(name for name, weight in weights.items() if weight > 0)
    place *= sum(weights[name] for name in names)
    for name in names:
        place -= weights[name]
        if place < 0:
            return name
    return names[-1]
