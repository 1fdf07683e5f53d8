"""Phase 1: bring the registered datasets from the Hub into storage/raw, byte for byte, verified and described.

Every file is checked against the hashes of the commit it belongs to, and a dataset counts as ingested only when all of
them match. Beside the files lies metadata.json: revision, licence, files, schema, splits, rows, metrics, findings.

examples:
  python phase1-ingestion/ingest_hf_data.py --dry-run
  python phase1-ingestion/ingest_hf_data.py --profile sample
  python phase1-ingestion/ingest_hf_data.py --datasets Sakshamrzt/IndicNLP-Malayalam

The token for gated or private data is read from HUGGINGFACE_TOKEN or HF_TOKEN, the Hub's address from HF_ENDPOINT.
What `hf auth login` left on this machine is not read.
exit code: 0 done, or nothing to do; 1 a dataset failed, the others were ingested; 2 a mistake in the command.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from data_foundry.cli import Phase, run_phase
from data_foundry.ingestion.ingest import describe, plan, run_step

PHASE = Phase(name="phase1", title="ingestion", plan=plan, run_step=run_step, describe=describe)


def main(argv: Sequence[str] | None = None) -> int:
    """Run phase 1 and return its exit code."""
    return run_phase(PHASE, __doc__ or "", argv)


if __name__ == "__main__":
    sys.exit(main())
