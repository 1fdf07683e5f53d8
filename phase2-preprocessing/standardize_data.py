"""Phase 2: bring every ingested dataset to one form, and keep what is refused with its reason.

Audio becomes 16 kHz mono PCM16 WAV, long clips are cut into segments, text is normalised, labels get one spelling.
Reads storage/raw, writes storage/silver under the base path. What is done already is not done again.

  python phase2-preprocessing/standardize_data.py
  python phase2-preprocessing/standardize_data.py --profile sample --dry-run
  python phase2-preprocessing/standardize_data.py --datasets CXDuncan/Malayalam-IndicVoices --workers 4
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from data_foundry.cli import Phase, run_phase
from data_foundry.preprocessing.standardize import describe, plan, run_step

PHASE = Phase(name="phase2", title="standardization", plan=plan, run_step=run_step, describe=describe)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the phase; return 0 done, 1 a step failed, 2 the user's mistake."""
    return run_phase(PHASE, __doc__ or "", argv)


if __name__ == "__main__":
    sys.exit(main())
