"""Where steps run: here, or in a pool of processes. The only place where a step's failure is caught."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from data_foundry.config import Settings
from data_foundry.errors import FoundryError
from data_foundry.lake import end_with, storage_error
from data_foundry.report import Outcome, Step, StepResult

RunStep = Callable[[Settings, Step], StepResult]
log = logging.getLogger("data_foundry")


def run_steps(run_step: RunStep, settings: Settings, steps: Sequence[Step]) -> Iterator[StepResult]:
    """Run steps on up to `settings.workers` processes and yield a result for every one, as they end.

    `run_step` must be a module-level function. A step that raises, or whose process dies, yields a failed result;
    the others go on. One worker is a process of its own too, since a step that needs too much memory is killed; with
    no worker (0) the steps run in this process, whose death ends the run.
    The order of results may differ from the order of steps.
    """
    if not settings.workers:
        for step in steps:
            yield guarded(run_step, settings, step)
        return
    pending = list(steps)
    while pending:
        pending = yield from _run_pool(run_step, settings, pending)


def guarded(run_step: RunStep, settings: Settings, step: Step) -> StepResult:
    """Run one step and turn what it raises into a failed result; the traceback goes to the log."""
    started = time.monotonic()
    try:
        result = run_step(settings, step)
    except FoundryError as error:
        log.debug("%s", step.name, exc_info=True)
        result = _failed(step, str(error))
    except Exception as error:
        log.debug("%s", step.name, exc_info=True)
        disk = storage_error(error) if isinstance(error, OSError) else None
        if disk is None:
            log.error("%s: %s: %s (the traceback is in the log file)", step.name, type(error).__name__, error)
        result = _failed(step, str(disk or f"{type(error).__name__}: {error}"))
    return result.model_copy(update={"seconds": round(time.monotonic() - started, 3), "subject": step.subject})


def _run_pool(run_step: RunStep, settings: Settings, steps: list[Step]) -> Generator[StepResult, None, list[Step]]:
    """Yield results; return the steps that are left for a new pool after a process died."""
    workers = min(settings.workers, len(steps))
    with process_pool(workers) as pool:
        waiting: dict[Future[StepResult], Step] = {}
        queue = list(steps)
        while queue or waiting:
            # One task a worker at a time, so that a dead process can only have been running these.
            while queue and len(waiting) < workers:
                step = queue.pop(0)
                try:
                    waiting[pool.submit(guarded, run_step, settings, step)] = step
                except BrokenProcessPool:
                    queue.insert(0, step)
                    if not waiting:
                        return queue
                    break
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            broken = [waiting.pop(future) for future in done if isinstance(future.exception(), BrokenProcessPool)]
            for future in done:
                if future in waiting:
                    waiting.pop(future)
                    yield future.result()
            if broken:
                broken += list(waiting.values())
                if len(broken) == 1:
                    yield _failed(broken[0], "its process was killed (out of memory?)")
                    return queue
                # Which of them died can't be told: run each alone, so that only the culprit fails.
                for step in broken:
                    yield from _alone(run_step, settings, step)
                return queue
    return []


@contextmanager
def process_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes that log to the run's file and end with it; what they run stands at a module's top."""
    context = multiprocessing.get_context("spawn")
    arguments = (os.getpid(), log_file())
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=arguments) as pool:
        try:
            yield pool
        except (KeyboardInterrupt, GeneratorExit):
            # Leaving the pool waits for what runs, which may be an hour of training: commits make a kill safe.
            for worker in multiprocessing.active_children():
                worker.kill()
            raise


def _alone(run_step: RunStep, settings: Settings, step: Step) -> Iterator[StepResult]:
    with process_pool(1) as pool:
        try:
            yield pool.submit(guarded, run_step, settings, step).result()
        except BrokenProcessPool:
            yield _failed(step, "its process was killed (out of memory?)")


def _failed(step: Step, reason: str) -> StepResult:
    return StepResult(name=step.name, key=step.key, subject=step.subject, outcome=Outcome.FAILED, reason=reason)


def log_file() -> str | None:
    """Return the file that this run's log goes to, None where there is none."""
    handlers = (handler for handler in log.handlers if isinstance(handler, logging.FileHandler))
    return next((handler.baseFilename for handler in handlers), None)


def _start_worker(parent: int, log_file: str | None) -> None:
    """A worker logs to the run's file, keeps to one thread (the processes are the parallelism), and never outlives
    the run."""
    end_with(parent)
    # Ctrl-C is for the run, which ends its workers; each of them would only print a traceback of its own.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TOKENIZERS_PARALLELISM"):
        os.environ.setdefault(name, "false" if name.startswith("TOKENIZERS") else "1")
    if log_file:
        add_log_file(log_file)


class LogFile(logging.FileHandler):
    """A log file on a disk that may be full: then lines are lost, and the terminal is not filled with tracebacks."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def add_log_file(path: str) -> None:
    """Send this process's log lines to a file, appended."""
    handler = LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.propagate = False
