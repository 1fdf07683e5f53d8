"""One training in several processes: `accelerate launch`, started, watched, and never left behind.

The launcher is a process of its own, and its ranks are its children: when this process goes, however it goes, the
launcher goes with it, and the ranks with the launcher. Ranks find each other by a file and talk over the loopback
interface; no port is open to other machines.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from data_foundry.compute import log_file
from data_foundry.config import PROJECT_ROOT
from data_foundry.errors import FoundryError
from data_foundry.finetuning.tasks.task import Features, Task
from data_foundry.finetuning.training.journal import Journal, journal_callback
from data_foundry.finetuning.training.launch_folder import LaunchFolder, LaunchPlan
from data_foundry.finetuning.training.memory import OutOfMemory, halve, micro_batch, too_many_rows
from data_foundry.finetuning.training.train import TrainingRecord, lengths_of, train_adapter, uses_gpu
from data_foundry.training_config import Training, TrainingConfig

LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"
LAST_LINES = 12
SECONDS_TO_END = 10
log = logging.getLogger("data_foundry")


@dataclass(frozen=True)
class TrainingJob:
    """What `train_adapter` is to do, in a form that other processes can read: features are mapped, bases opened there.

    `part` names it in the journal; `work` holds its checkpoints, and the logs of the processes that train it.
    """

    part: str
    task: Task
    config: TrainingConfig
    training: Training
    rows: Sequence[Features]
    validation: Sequence[Features]
    folder: Path
    journal: Journal
    work: Path
    replay: Sequence[Features] = ()
    revision: str | None = None

    def train(self) -> TrainingRecord:
        """Train in this process, which may be one of several."""
        lengths = [length for rows in (self.rows, self.replay) for length in lengths_of(self.task, rows)]
        seen = journal_callback(self.journal, self.part, rows=len(lengths), tokens=sum(lengths) or None)
        return train_adapter(
            self.task,
            self.config,
            self.training,
            self.rows,
            self.validation,
            self.folder,
            replay=self.replay,
            revision=self.revision,
            callbacks=[seen],
            work=self.work,
        )


def check_processes(training: Training, config: TrainingConfig) -> None:
    """Raise FoundryError when the processes can't share out a batch evenly, or there is no GPU for each of them."""
    micro_batch(config, training.processes)
    if training.processes > 1 and uses_gpu(training):
        import torch

        if training.processes > torch.cuda.device_count():
            gpus = f"there are {n} GPUs" if (n := torch.cuda.device_count()) != 1 else "there is 1 GPU"
            raise FoundryError(
                f"training.processes is {training.processes}, and {gpus}.",
                "Set training.processes to the number of GPUs or less, or training.gpu_enabled to false.",
            )


def train_part(job: TrainingJob) -> TrainingRecord:
    """Train one part of a version, in `training.processes` processes; return what happened.

    Raises FoundryError where a process raised one, and with the last lines of its log where it died otherwise.
    """
    check_processes(job.training, job.config)
    if job.training.processes == 1:
        return job.train()
    while True:
        try:
            with TemporaryDirectory(prefix="data_foundry_launch_") as place:
                return _launched(job, LaunchFolder(Path(place)))
        except OutOfMemory:
            processes = job.training.processes
            too_many = halve(job.config, processes=processes, too_many=too_many_rows(job.work), work=job.work)
            after = micro_batch(job.config, processes, too_many)
            job.journal.write("batch_halved", part=job.part, per_device_batch_size=after.rows)


def _launched(job: TrainingJob, folder: LaunchFolder) -> TrainingRecord:
    """Start the processes, wait for them, and return what the first of them says."""
    training = job.training
    job.work.mkdir(parents=True, exist_ok=True)
    device: Literal["cpu", "cuda"] = "cuda" if uses_gpu(training) else "cpu"
    plan = LaunchPlan(os.getpid(), training.processes, training.threads, device, str(job.work), log_file())
    folder.begin(plan, job)
    who = f"{job.task.spec.name}, {job.part}"
    log.info("%s: training in %d processes; their logs are in %s", who, training.processes, job.work)
    with (job.work / "launcher.log").open("ab") as output:
        launcher = subprocess.Popen(
            _command(folder), env=_environment(folder), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            exit_code = launcher.wait()
        finally:
            _end(launcher)
    record: TrainingRecord | None = folder.record()
    if exit_code == 0 and record is not None:
        return record
    raise _failure(folder, job.work, exit_code)


def _command(folder: LaunchFolder) -> list[str]:
    return [sys.executable, "-m", "data_foundry.finetuning.training.launcher", str(folder.path)]


def _end(launcher: subprocess.Popen[bytes]) -> None:
    """End a launcher that still runs, and its ranks with it: first asked to, then made to."""
    if launcher.poll() is None:
        launcher.send_signal(signal.SIGTERM)
        try:
            launcher.wait(timeout=SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            launcher.kill()
            launcher.wait()


def _failure(folder: LaunchFolder, logs: Path, exit_code: int) -> Exception:
    """Return what ended the training: how a rank was killed, else what one raised, or how the first dead one died.

    What a rank raises after another was killed may be for want of it; that memory ran out is not.
    """
    error = folder.raised()
    rank, died = folder.first_death() or (None, exit_code)
    if error and (isinstance(error, OutOfMemory) or rank is None or died >= 0):
        return error
    who = "The launcher of the training processes" if rank is None else f"Training process {rank}"
    how = f"was ended by {signal.Signals(-died).name}" if died < 0 else f"ended with exit code {died}"
    how += " (out of memory?)" if died == -signal.SIGKILL else ""
    file = logs / ("launcher.log" if rank is None else f"rank-{rank}.log")
    said = file.read_text(encoding="utf-8", errors="replace").strip().splitlines() if file.is_file() else []
    lines = "\n    ".join(["", *said[-LAST_LINES:]])
    return FoundryError(f"{who} {how}.{lines}", f"The whole log is {file}; the next run goes on where this one was.")


def _environment(folder: LaunchFolder) -> dict[str, str]:
    """Return the environment of the launcher: this checkout's package, and nothing of a launcher above this one."""
    mine = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    paths = [str(PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {f"{library}_SOCKET_IFNAME": LOOPBACK for library in ("GLOO", "NCCL", "TP")}
    # Else the launcher opens a port for its ranks, to every machine.
    own["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    # accelerate and torch leave folders of theirs where temporary files go: this one is removed.
    own |= {"TMPDIR": str(folder.path), "TOKENIZERS_PARALLELISM": "false"}
    return {**kept, **own, "PYTHONPATH": os.pathsep.join(paths)}
