"""Which phones gold is heard through, and which splits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from data_foundry.records import Decibels
from data_foundry.section import Section, Share

PhoneCodec = Literal["alaw", "ulaw", "gsm", "opus_nb"]
LineNoise = Literal["none", "line", "babble"]
Concealment = Literal["repeat", "silence"]
Weight = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Level = Annotated[Decibels, Field(ge=-60.0, le=60.0)]


class Telephony(Section):
    """Phone versions of gold's rows: for each of `splits`, a split <name>_phone of what has audio in STT and dialect.

    A row's channel is drawn with `seed`. `codecs` and `noises` are weights, and what is not named has none; by default
    G.711 A-law, the codec of Indian exchanges, has most. The others are ranges, drawn from evenly: gain in dB, SNR in
    dB (active speech level to noise), and, for the `lossy_share` of rows whose network loses packets, the share of
    packets lost and the mean length of a burst of losses, in packets of 20 ms. `concealment`: a lost packet is a
    repeated pitch period, or silence. The defaults are a judgement, not a measurement of any network; one's own line
    may be measured and put here. Not simulated: AMR, AMR-WB and EVS, the codecs of today's mobile calls, and two codecs
    one after the other (see data_foundry/telephony); `gsm` stands in for them.
    """

    splits: tuple[Literal["train", "validation", "test"], ...] = ("test",)
    seed: int = 0
    codecs: dict[PhoneCodec, Weight] = {"alaw": 0.75, "ulaw": 0.05, "gsm": 0.15, "opus_nb": 0.05}
    level_db: tuple[Level, Level] = (-12.0, 3.0)
    noises: dict[LineNoise, Weight] = {"none": 0.4, "line": 0.4, "babble": 0.2}
    snr_db: tuple[Level, Level] = (10.0, 30.0)
    lossy_share: Share = 0.5
    loss_share: tuple[Annotated[float, Field(ge=0.0, le=0.5)], Annotated[float, Field(ge=0.0, le=0.5)]] = (0.0, 0.05)
    burst_frames: tuple[Annotated[float, Field(ge=1.0, le=50.0)], Annotated[float, Field(ge=1.0, le=50.0)]] = (1.0, 3.0)
    concealment: Concealment = "repeat"

    @field_validator("splits")
    @classmethod
    def _each_split_once(cls, splits: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(splits)) < len(splits):
            raise ValueError("names a split twice")
        return splits

    @field_validator("codecs", "noises")
    @classmethod
    def _one_has_a_weight(cls, weights: dict[str, float]) -> dict[str, float]:
        if not any(weights.values()):
            raise ValueError("at least one must have a weight over 0")
        return weights

    @field_validator("level_db", "snr_db", "loss_share", "burst_frames")
    @classmethod
    def _from_low_to_high(cls, limits: tuple[float, float]) -> tuple[float, float]:
        if limits[0] > limits[1]:
            raise ValueError("the lower limit comes first")
        return limits
