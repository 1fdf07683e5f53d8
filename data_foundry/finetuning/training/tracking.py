"""Weights & Biases, from beside the training: it can neither stop a run nor hold it up.

The training itself never loads wandb. When it is over, a process of its own reads the journal, records it as an offline
run under logs/wandb and, with WANDB_API_KEY, sends that. It has a time limit and nobody waits for it; whatever fails
there is a warning in the log file, and the journal has everything in any case.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys

from data_foundry.compute import log_file
from data_foundry.config import PROJECT_ROOT
from data_foundry.finetuning.training.journal import Journal
from data_foundry.training_config import Training

KEY = "WANDB_API_KEY"
LIMIT_SECONDS = 120
"""How long recording and sending may take together."""
log = logging.getLogger("data_foundry")


def wandb_mode(training: Training) -> str | None:
    """Return "offline" or "online" as the settings and the key have it, None for neither; one log line says so."""
    if not training.use_wandb:
        return None
    if training.wandb_mode == "online" and not os.environ.get(KEY):
        log.info('wandb: off, for %s is not set (training.wandb_mode "offline" records without sending)', KEY)
        return None
    return training.wandb_mode


def record(
    training: Training, journal: Journal, version: str, *, limit: int = LIMIT_SECONDS
) -> subprocess.Popen[bytes] | None:
    """Start to record a version's journal with wandb if the settings ask for it, and return at once.

    What was started outlives this process if need be, and ends by itself within `limit` seconds.
    """
    mode = wandb_mode(training)
    if mode is None:
        return None
    base_path = journal.file.parents[2]
    output = base_path / "logs" / "wandb" / f"{version}.log"
    command = [sys.executable, "-m", "data_foundry.finetuning.training.wandb_run", str(journal.file), version, mode]
    paths = [str(PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("wb") as file:
            started = subprocess.Popen(
                [*command, str(limit), log_file() or ""],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                cwd=base_path,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                # Ctrl-C on the terminal is not for this one, which has nothing to leave half done.
                start_new_session=True,
            )
    except OSError as error:
        log.warning("wandb: %s can't be recorded: %s (its journal is %s)", version, error, journal.file)
        return None
    log.info("wandb: %s is recorded%s in the background, see %s", version, " and sent" * (mode == "online"), output)
    return started
