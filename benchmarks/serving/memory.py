"""Measure what further adapters on one base cost in memory.

  python -m benchmarks.serving.memory WORK [--adapters 5]

Makes a Whisper of whisper-base's size (74 M parameters) with random weights and LoRA adapters of rank 32 for it, loads
one of them and then all of them as the gateway does, each time in a process of its own, reads every weight, and prints
the resident set beyond what the imports alone take, in MiB. Beside it: as many bases as there are adapters.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import subprocess
import sys
from pathlib import Path

from data_foundry.config import PROJECT_ROOT, load_settings
from data_foundry.serving.residents import open_residents
from data_foundry.serving.weights import Weights
from data_foundry.training_config import TrainingConfig

TINY = PROJECT_ROOT / "storage" / "sample-hub" / "models" / "data-foundry" / "tiny-whisper-ml"
SIZE = {"d_model": 512, "encoder_layers": 6, "decoder_layers": 6, "encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048}
HEADS = {"encoder_attention_heads": 8, "decoder_attention_heads": 8, "vocab_size": 51865}
TARGETS = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
CONFIG = TrainingConfig(base="random/whisper-base-sized", lora_rank=32)


def main() -> None:
    """Make the weights where they are missing, and print the figures of one, of all, and of all apart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--adapters", type=int, default=5)
    parser.add_argument("--load", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        return load(given.work, given.adapters, apart=given.load == "apart")
    for number in range(given.adapters):
        if not (given.work / f"v{number}").is_dir():
            make(given.work, number)
    for adapters, how in ((1, "together"), (given.adapters, "together"), (given.adapters, "apart")):
        command = [sys.executable, "-m", __spec__.name, str(given.work), "--adapters", str(adapters), "--load", how]
        subprocess.run(command, check=True)


def make(work: Path, number: int) -> None:
    """Write the base, where it is missing, and one adapter for it."""
    from peft import LoraConfig, get_peft_model
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    base = work / "base"
    if not base.is_dir():
        shutil.copytree(TINY, base, ignore=shutil.ignore_patterns("*.safetensors", "*.parquet"))
        config = WhisperConfig.from_pretrained(TINY)
        model = WhisperForConditionalGeneration(WhisperConfig(**{**config.to_dict(), **SIZE, **HEADS}))
        model.save_pretrained(base)
    model = WhisperForConditionalGeneration.from_pretrained(base)
    adapted = get_peft_model(model, LoraConfig(r=CONFIG.lora_rank, target_modules=TARGETS))
    adapted.save_pretrained(work / f"v{number}" / "adapter", save_embedding_layers=False)


def load(work: Path, adapters: int, apart: bool) -> None:
    """Load versions, read every weight, and print the resident set."""
    import peft  # noqa: F401
    import torch  # noqa: F401
    import transformers  # noqa: F401

    settings = load_settings(environ={})
    before = resident_mib()
    wanted = [
        Weights(
            f"stt.v{number}", f"v{number}", "speech-to-text", CONFIG, None, work / "base", work / f"v{number}/adapter"
        )
        for number in range(adapters)
    ]
    if apart:
        found = [each for weights in wanted for each in open_residents(settings, [weights])]
    else:
        found = open_residents(settings, wanted)
    models = {id(each.predictor): each.predictor.model for each in found}  # type: ignore[attr-defined]
    for model in models.values():
        for parameter in model.parameters():
            parameter.detach().sum()
    print(
        json.dumps({"adapters": adapters, "bases": len(models), "mib": round(resident_mib() - before)}),
        flush=True,
    )


def resident_mib() -> float:
    """Return this process's resident set."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


if __name__ == "__main__":
    main()
