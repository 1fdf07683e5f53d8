"""Phase 3: allocate standardized rows to the six engines, as training sets whose splits share no speaker and no text.

Every row is measured against every engine; a dataset whose rows cannot serve the engine it was declared for is reported
and serves the engines it can. Reads storage/silver, writes storage/gold/<engine>.

Examples:
  python phase3-allocation/allocate_datasets.py --profile sample
  python phase3-allocation/allocate_datasets.py --dry-run
  python phase3-allocation/allocate_datasets.py --engines stt dialect
"""

import sys
from collections.abc import Sequence

from data_foundry.allocation import allocate
from data_foundry.cli import Phase, run_phase

PHASE = Phase("phase3", "allocation", allocate.plan, allocate.run_step, allocate.describe)


def main(argv: Sequence[str] | None = None) -> int:
    """Run phase 3 and return its exit code."""
    return run_phase(PHASE, __doc__, argv)


if __name__ == "__main__":
    sys.exit(main())
