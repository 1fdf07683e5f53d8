"""Several things at once, in threads that an interrupted run need not wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


def side_by_side(
    tasks: Iterable[Task], work: Callable[[Task, threading.Event], Result], parallel: int, beat: float
) -> Iterator[tuple[Task, Result] | None]:
    """Do tasks at most `parallel` at once, begun in their order; yield (task, result) as they end.

    Whenever nothing has ended for `beat` seconds, None is yielded. The first failure sets the event that `work` gets,
    begins no other task, waits for those that run, and is raised.
    """
    halt = threading.Event()
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    ended: queue.SimpleQueue[tuple[Task, Result] | BaseException] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    left = waiting.qsize()

    def run() -> None:
        while not halt.is_set():
            try:
                task = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                ended.put((task, work(task, halt)))
            except BaseException as error:
                # Told first: what the others end with once they are halted is no cause.
                ended.put(error)
                halt.set()

    # Daemons, because an interrupted run must not wait for an answer that may never come.
    workers = [threading.Thread(target=run, daemon=True) for _ in range(min(parallel, left))]
    for worker in workers:
        worker.start()
    try:
        while left:
            try:
                outcome = ended.get(timeout=beat)
            except queue.Empty:
                yield None
                continue
            if isinstance(outcome, BaseException):
                # Nobody may still write to a part when the next try, here or in another run, takes it up.
                for worker in workers:
                    worker.join()
                raise outcome
            left -= 1
            yield outcome
    finally:
        halt.set()
