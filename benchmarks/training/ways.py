"""One way of training, or of computing features, in a process of its own; says what it took as one line of JSON.

python -m benchmarks.training.ways '{"way": "ours", "base": ..., ...}'      (run.py writes it)
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from benchmarks.training.shares import Shares
from data_foundry.config import Settings, load_settings
from data_foundry.engines import ENGINES
from data_foundry.finetuning.evaluation.predict import load_task
from data_foundry.finetuning.features.feature_store import FeatureStore
from data_foundry.finetuning.features.gold_rows import encode_rows
from data_foundry.finetuning.training.train import train_adapter
from data_foundry.records import AIEngine
from data_foundry.training_config import TrainingConfig

BASE = "benchmark/whisper"


class Clock(TrainerCallback):
    """Notes wall and CPU time of this process, all threads, when the loop begins and when it ends."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, float]] = []

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.marks.append((time.perf_counter(), time.process_time()))

    on_train_end = on_train_begin  # type: ignore[assignment]

    def figures(self, samples: int) -> dict[str, float]:
        """Return how long the loop took, and its rate over all the samples that it learned from."""
        (begun, begun_cpu), (ended, ended_cpu) = self.marks
        wall, cpu = ended - begun, ended_cpu - begun_cpu
        return {"wall": wall, "cpu": cpu, "per_second": samples / wall, "per_cpu_second": samples / cpu}


def settings_of(given: dict[str, Any]) -> Settings:
    training = {"gpu_enabled": False, "mixed_precision": False, "threads": given["threads"]}
    flags = {"base_path": given["store"], "workers": given["workers"], "training": training}
    return load_settings(flags=flags, environ={})


def features_of(given: dict[str, Any], *, frozen: bool) -> tuple[Any, TrainingConfig, Any, Settings]:
    """Return task, configuration, the features of the clips (computed if they are not there yet) and settings."""
    settings = settings_of(given)
    config = TrainingConfig(
        base=BASE,
        target_modules=("q_proj", "v_proj"),
        lora_rank=given["rank"],
        lora_alpha=given["alpha"],
        learning_rate=given["rate"],
        epochs=given["epochs"],
        batch_size=given["batch"],
        warmup_share=given["warmup"],
        seed=given["seed"],
        max_length=448,
        freeze_encoder=frozen,
    )
    spec = ENGINES[AIEngine.STT]
    task = load_task(spec, config, Path(given["base"]))
    encoded = encode_rows(task, [Path(given["rows"])], store=FeatureStore(settings, str(spec.engine), f"{BASE}@0"))
    if encoded.refused:
        raise SystemExit(f"Clips that the base can't take: {dict(encoded.refused)}; leave them out of the benchmark.")
    return task, config, encoded.features, settings


def prepare(given: dict[str, Any], *, frozen: bool) -> dict[str, float]:
    """Compute the features once, and say what that took: this process and its workers."""
    started, cpu = time.perf_counter(), _all_cpu()
    features = features_of(given, frozen=frozen)[2]
    bytes_a_row = features.nbytes / len(features)
    return {"wall": time.perf_counter() - started, "cpu": _all_cpu() - cpu, "bytes_a_row": bytes_a_row}


def train(given: dict[str, Any], folder: Path, way: str) -> dict[str, Any]:
    """Train one way and return its figures, its memory before anything else is loaded."""
    clock, frozen = Clock(), way.endswith("decoder")
    shares = [Shares()] if given.get("shares") else []
    if way.startswith("ours"):
        task, config, features, settings = features_of(given, frozen=frozen)
        (folder / "adapter").mkdir(parents=True)
        training = settings.training
        record = train_adapter(task, config, training, features, (), folder / "adapter", callbacks=[clock, *shares])
        more = {"trainable": record.trainable_parameters}
    else:
        from benchmarks.training import plain

        more = plain.train(Path(given["base"]), Path(given["rows"]), folder, given, [clock, *shares], decoder=frozen)
    figures: dict[str, Any] = {**clock.figures(given["clips"] * given["epochs"]), **more, "peak_mb": _peak_mb()}
    if shares:
        figures["shares"] = shares[0].table()
    if given.get("held_out"):
        figures["held_out_loss"] = held_out_loss(given, folder / "adapter")
    return figures


def held_out_loss(given: dict[str, Any], adapter: Path | None) -> float:
    """Return the loss per token on clips that no way learned from, through plain transformers and PEFT."""
    import torch
    from datasets import Audio, load_dataset
    from peft import PeftModel
    from transformers import WhisperForConditionalGeneration

    from benchmarks.training.plain import Collator, OnTheFly

    base = Path(given["base"])
    transform = OnTheFly(base)
    cache = str(Path(given["store"]) / "held-out")
    clips = load_dataset("parquet", data_files=given["held_out"], split="train", cache_dir=cache)
    clips = clips.cast_column("audio", Audio(decode=False)).select_columns(["audio", "text"]).with_transform(transform)
    model: Any = WhisperForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    model = (PeftModel.from_pretrained(model, str(adapter)) if adapter else model).eval()
    collate = Collator(transform, model.config.decoder_start_token_id)
    total = tokens = 0.0
    with torch.inference_mode():
        for start in range(0, len(clips), given["batch"]):
            batch = collate([clips[place] for place in range(start, min(start + given["batch"], len(clips)))])
            count = int(batch["labels"].ne(-100).sum())
            total, tokens = total + float(model(**batch).loss) * count, tokens + count
    return total / tokens


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _all_cpu() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main() -> None:
    given = json.loads(sys.argv[1])
    import torch

    from data_foundry.finetuning.tasks.task import quiet_transformers

    quiet_transformers()
    torch.set_num_threads(given["threads"])
    way, folder = given["way"], Path(given["folder"])
    if way == "base":
        figures = {"held_out_loss": held_out_loss(given, None)}
    elif way.startswith("features"):
        figures = {**prepare(given, frozen=way.endswith("states")), "peak_mb": _peak_mb()}
    else:
        figures = train(given, folder, way)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
