"""How much worse a recogniser hears through the phone channel: CER of a base on its own control rows, by channel.

PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/telephony/recognition.py [--profile sample]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import jiwer

from data_foundry.config import load_settings
from data_foundry.engines import ENGINES, AIEngine
from data_foundry.finetuning.evaluation.predict import load_predictor
from data_foundry.finetuning.features.gold_rows import control_rows
from data_foundry.finetuning.tasks.speech import decode_audio
from data_foundry.hub import model_folder
from data_foundry.preprocessing.audio import wav_bytes
from data_foundry.preprocessing.text import scoring_form
from data_foundry.telephony.channel import PhoneChannel, draw
from data_foundry.telephony.line import through
from data_foundry.telephony_settings import LineNoise
from data_foundry.training_config import training_config

BATCH = 16


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="sample")
    settings = load_settings(profile=parser.parse_args().profile)
    spec = ENGINES[AIEngine.STT]
    config = training_config(settings.training, spec.engine, spec.training)
    folder = model_folder(settings, config.base, config.revision)
    predictor = load_predictor(spec, config, folder)
    rows, what = control_rows(predictor.task, folder)
    print(f"{config.base}, {what}")
    clips = [decode_audio(row) for row in rows]
    truth = [scoring_form(row["text"]) for row in rows]
    for name, channels in _lines(len(rows), settings.telephony.seed):
        heard = [
            {**row, "audio": {"bytes": wav_bytes(through(clip, channel) if channel else clip), "path": ""}}
            for row, clip, channel in zip(rows, clips, channels, strict=True)
        ]
        said = [
            scoring_form(str(prediction.output))
            for start in range(0, len(heard), BATCH)
            for prediction in predictor.task.predict(
                predictor.model, [predictor.task.encode(row) for row in heard[start : start + BATCH]]
            )
        ]
        print(f"{jiwer.cer(truth, said):6.3f}  {name}", flush=True)
    return 0


def _lines(count: int, seed: int) -> Iterator[tuple[str, list[PhoneChannel | None]]]:
    """Yield the name of a kind of channel, and one channel of it for each row."""
    settings = load_settings().telephony
    yield "clean", [None] * count
    for codec in settings.codecs:
        yield codec, [PhoneChannel(codec=codec)] * count
    noises: tuple[LineNoise, ...] = ("line", "babble")
    for noise in noises:
        for snr in (20.0, 10.0, 5.0):
            yield (
                f"alaw, {noise} noise at {snr:g} dB",
                [PhoneChannel(codec="alaw", noise=noise, snr_db=snr, seed=row) for row in range(count)],
            )
    for share in (0.05, 0.15):
        for concealment in ("repeat", "silence"):
            channel = PhoneChannel(codec="alaw", loss_share=share, burst_frames=2.0, concealment=concealment)
            yield (
                f"alaw, {share:.0%} lost in bursts of 2, {concealment}",
                [channel.model_copy(update={"seed": row}) for row in range(count)],
            )
    yield "as drawn by default", [draw(f"{row:016x}", seed, settings) for row in range(count)]


if __name__ == "__main__":
    sys.exit(main())
