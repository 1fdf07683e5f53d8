"""The process above the ranks: `accelerate launch` of rank.py, started by launch.py.

python -m data_foundry.finetuning.training.launcher FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from data_foundry.finetuning.training.launch_folder import LaunchFolder
from data_foundry.lake import end_with


def main(path: str) -> int:
    """Run the ranks to their end; return the exit code, and leave behind which of them died first and how."""
    folder = LaunchFolder(Path(path))
    plan = folder.plan()
    end_with(plan.parent)
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # All of it is said here: what a user's own configuration of accelerate holds is meant for other programs.
    # MULTI_GPU is accelerate's word for processes on one machine that it starts itself; `use_cpu` makes them gloo's.
    settings = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "MULTI_GPU",
        "use_cpu": plan.device == "cpu",
        "debug": False,
        "gpu_ids": "all",
    }
    config = folder.path / "accelerate.json"
    config.write_text(json.dumps(settings), encoding="utf-8")
    flags = {
        "config_file": config,
        "num_machines": 1,
        "num_processes": plan.processes,
        "num_cpu_threads_per_process": plan.threads,
        "mixed_precision": "no",
        "dynamo_backend": "no",
        "rdzv_backend": "c10d",
        "rdzv_conf": "store_type=file",
        "max_restarts": 0,
        "monitor_interval": 0.2,
    }
    given = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    command = ["--module", "data_foundry.finetuning.training.rank", path, str(os.getpid())]
    arguments = launch_command_parser().parse_args([*given, *command])
    # No flags of accelerate, but of what it starts: the launcher too meets its ranks by a file, not by a port.
    arguments.rdzv_endpoint, arguments.local_addr = str(folder.launcher_rendezvous), "127.0.0.1"
    try:
        launch_command(arguments)
    except ChildFailedError as error:
        folder.set_exit_codes({rank: failure.exitcode for rank, failure in error.failures.items()})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
