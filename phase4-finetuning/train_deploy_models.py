#!/usr/bin/env python3
"""Phase 4: fine-tune a LoRA adapter for each engine, evaluate it against its base, and deploy what passed as a shadow.

Reads storage/gold; writes models/<engine>/<version>/ (adapter, evaluation), the model registry models/registry.sqlite
and the phase's report. An adapter that fails a gate is registered at stage none with the reason, which is an answer and
not an error. Nothing is put in front of callers.

  python phase4-finetuning/train_deploy_models.py --profile sample
  python phase4-finetuning/train_deploy_models.py --profile sample --engines nlu stt --dry-run
  DATA_FOUNDRY_DEPLOYMENT__SHADOW_TESTING=false python phase4-finetuning/train_deploy_models.py
"""

import sys
from collections.abc import Sequence

from data_foundry.cli import Phase, run_phase
from data_foundry.serving.deploy import describe, plan, run_step

PHASE = Phase(name="phase4", title="fine-tuning and deployment", plan=plan, run_step=run_step, describe=describe)


def main(argv: Sequence[str] | None = None) -> int:
    """Run phase 4. Returns the exit code."""
    return run_phase(PHASE, __doc__, argv)


if __name__ == "__main__":
    sys.exit(main())
