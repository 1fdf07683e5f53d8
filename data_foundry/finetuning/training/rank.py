"""One of several training processes, started by launcher.py.

python -m data_foundry.finetuning.training.rank FOLDER PARENT
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from pathlib import Path

from data_foundry.compute import add_log_file
from data_foundry.errors import FoundryError
from data_foundry.finetuning.training.launch_folder import LaunchFolder, LaunchPlan
from data_foundry.lake import end_with


def main(path: str, parent: str) -> int:
    """Train this process's share; the first process leaves the record behind. Returns the exit code."""
    end_with(int(parent))
    folder, rank = LaunchFolder(Path(path)), int(os.environ["RANK"])
    plan = folder.plan()
    _speak(plan, rank)
    try:
        job = folder.job()
        _meet(folder, plan, rank)
        record = job.train()
    except Exception as error:
        traceback.print_exc()
        folder.fail(rank, _to_raise(error))
        # At once: the others wait for this one, and a group that is taken apart in order would wait for them.
        os._exit(1)
    if rank == 0:
        folder.finish(record)
    # The others may still be at their last words; leaving the group alone would end them with an error.
    import torch

    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    return 0


def _to_raise(error: Exception) -> Exception | None:
    """Return what the process that started this one is to raise as it is; the log tells anything else."""
    from data_foundry.finetuning.training.memory import OutOfMemory, is_out_of_memory

    if isinstance(error, FoundryError):
        return error
    return OutOfMemory(str(error)) if is_out_of_memory(error) else None


def _speak(plan: LaunchPlan, rank: int) -> None:
    """Send everything that this process prints to a log of its own, and the first one's log lines to the run's too."""
    file = os.open(Path(plan.logs) / f"rank-{rank}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    log = logging.getLogger("data_foundry")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(logging.StreamHandler())
    if plan.log_file and rank == 0:
        add_log_file(plan.log_file)


def _meet(folder: LaunchFolder, plan: LaunchPlan, rank: int) -> None:
    """Find the other processes of this training, by a file: accelerate would open a port for that."""
    import torch

    if plan.device == "cuda":
        torch.cuda.set_device(rank)
    torch.distributed.init_process_group(
        "nccl" if plan.device == "cuda" else "gloo",
        init_method=f"file://{folder.rendezvous}",
        rank=rank,
        world_size=plan.processes,
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
