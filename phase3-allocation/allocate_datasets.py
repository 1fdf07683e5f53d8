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


def main(argv: Sequence[str] | None = None) -> int:
    """Run phase 3 and return its exit code."""
    phase = Phase("phase3", "allocation", allocate.plan, allocate.run_step, allocate.describe)
    return run_phase(phase, __doc__, argv)


if __name__ == "__main__":
    sys.exit(main())
