"""Speech of a codec language model, heard: its tokens decoded to sound, and the sound transcribed.

Token loss says how well speech is foreseen, not whether it can be understood. Where the codec of the tokens is a model
that transformers opens (EnCodec, Mimi, DAC), the texts are spoken, decoded and transcribed by the base of the
speech-to-text engine, and so are the true codes of the same rows: what those lose is lost by codec and transcriber, and
no adapter can do better. A row whose speech, by any of the three, is longer than the transcriber's window is left out
of all of them and counted: cut speech would be scored as errors that nobody made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

from data_foundry.config import Settings
from data_foundry.engines import AIEngine
from data_foundry.engines.adapters import adapters
from data_foundry.errors import FoundryError
from data_foundry.finetuning.evaluation.bootstrap import RESAMPLES, Bootstrap
from data_foundry.finetuning.evaluation.metrics import Measure, error_rate
from data_foundry.finetuning.evaluation.predict import Predictor, load_predictor
from data_foundry.finetuning.evaluation.slices import interval_json
from data_foundry.finetuning.tasks.task import Row, quiet_transformers, read_base_config
from data_foundry.hub import model_folder, model_revision
from data_foundry.lake import fingerprint
from data_foundry.records import SAMPLE_RATE

DECODERS = ("encodec", "mimi", "dac")
"""Model types of transformers that turn codes (layers x frames) into sound."""
NANO_CODEC = "NanoCodec, the codec of KaniTTS, is NeMo's, and transformers does not open it"
Codes = Sequence[Sequence[int]]


def hear_speech(
    settings: Settings, predictor: Predictor, rows: Sequence[Row], adapter: str
) -> tuple[dict[str, Any] | None, str]:
    """Return the CER of what is understood of base, adapter and true codes, or None and why it was not measured.

    On `speech_rows` of the rows, drawn by a hash of their ids: speaking is slow. "longer_than_window" counts the rows
    left out, and by whose speech.
    """
    from data_foundry.preprocessing.text import TEXT_RULES

    config = predictor.task.config
    codec = config.speech_codec
    if codec is None:
        return None, f"its speech was not heard: no decoder of its codec is configured (speech_codec); {NANO_CODEC}"
    if not config.speech_rows:
        return None, "speech_rows is 0"
    transcriber = adapters(settings.training)[AIEngine.STT]
    heard_base = transcriber.training
    tokens: Any = predictor.task
    try:
        decode = open_codec(model_folder(settings, codec), tokens.codec["layers"], tokens.codec["codebook_size"])
        heard_by = model_folder(settings, heard_base.base, heard_base.revision)
    except FoundryError as error:
        return None, f"the speech was not heard: {error.message}"
    listener = load_predictor(transcriber, heard_base, heard_by, device=str(predictor.model.device))
    spoken = sorted(rows, key=lambda row: fingerprint(row.get("row_id")))[: config.speech_rows]
    codes: dict[str, list[Codes]] = {
        "base": [prediction.output for prediction in predictor.predict(spoken)],  # type: ignore[misc]
        "adapted": [prediction.output for prediction in predictor.predict(spoken, adapter)],  # type: ignore[misc]
        "true_codes": [row["codes"] for row in spoken],
    }
    window: int = listener.task.log_mel.extractor.n_samples  # type: ignore[attr-defined]
    sounds = {name: [decode(one) if one and len(one[0]) else None for one in made] for name, made in codes.items()}
    too_long = {
        name: {place for place, sound in enumerate(made) if sound is not None and len(sound) > window}
        for name, made in sounds.items()
    }
    left_out = set().union(*too_long.values())
    heard = [place for place in range(len(spoken)) if place not in left_out]
    seconds = window / SAMPLE_RATE
    if not heard:
        return None, f"the speech of all {len(spoken)} rows drawn is longer than the transcriber's {seconds:g} s"
    spoken = [spoken[place] for place in heard]
    measures = {
        name: _cer(spoken, [_transcript(listener, made[place]) for place in heard]) for name, made in sounds.items()
    }
    bootstrap = Bootstrap.of_rows(spoken)
    compared = bootstrap.compare(measures["base"], measures["adapted"])
    return {
        "rows": len(spoken),
        "window_seconds": seconds,
        "longer_than_window": {"rows": len(left_out)} | {name: len(places) for name, places in too_long.items()},
        "intervals": f"95 % paired bootstrap, {RESAMPLES} resamples over {bootstrap.over}",
        "codec": f"{codec}@{model_revision(settings, codec)}",
        "transcriber": f"{heard_base.base}@{model_revision(settings, heard_base.base, heard_base.revision)}",
        "decoding": "greedy",
        "scorer": f"jiwer {version('jiwer')}, scoring form {TEXT_RULES}",
        "cer": {
            "base": interval_json(compared.base),
            "adapted": interval_json(compared.adapted),
            "difference": interval_json(compared.difference),
            "true_codes": interval_json(bootstrap(measures["true_codes"]).interval),
        },
    }, ""


def open_codec(folder: Path, layers: int, codebook_size: int) -> Callable[[Codes], Any]:
    """Return the function from codes (layers x frames) to samples, float32, mono, 16 kHz.

    Raises FoundryError for a model that transformers does not open as a codec, such as NeMo's, and for one of other
    codebooks than the codes are of.
    """
    import numpy as np
    import soxr
    import torch
    from transformers import AutoModel

    quiet_transformers()
    config = read_base_config(folder)
    kind = config.model_type
    if kind not in DECODERS:
        raise FoundryError(
            f"{folder.name} is a {kind} model, no codec that transformers decodes.",
            f"Name one of these kinds in speech_codec: {', '.join(DECODERS)}.",
        )
    books = config.n_codebooks if kind == "dac" else config.num_quantizers
    if books < layers or config.codebook_size != codebook_size:
        raise FoundryError(
            f"{folder.name} has {books} codebooks of {config.codebook_size}, the tokens have {layers} of "
            f"{codebook_size}.",
            "Name the codec that the tokens were made with.",
        )
    model: Any = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    def decode(codes: Codes) -> Any:
        tokens = torch.tensor([list(layer) for layer in codes], dtype=torch.long)[None]
        with torch.inference_mode():
            if kind == "encodec":
                sound = model.decode(tokens[None], [None]).audio_values
            else:
                sound = model.decode(audio_codes=tokens).audio_values
        samples = sound.reshape(-1).numpy().astype(np.float32)
        return soxr.resample(samples, model.config.sampling_rate, SAMPLE_RATE)

    return decode


def _transcript(listener: Predictor, samples: Any) -> str:
    """Return what is understood of some sound, float32, 16 kHz; nothing where there is none."""
    import soundfile

    if samples is None:
        return ""
    file = BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    return str(listener.predict([{"audio": {"bytes": file.getvalue(), "path": "speech.wav"}}])[0].output)


def _cer(rows: Sequence[Row], transcripts: Sequence[str]) -> Measure:
    from data_foundry.preprocessing.text import scoring_form

    return error_rate(
        [scoring_form(row["text"]) for row in rows], [scoring_form(text) for text in transcripts], "character"
    )
