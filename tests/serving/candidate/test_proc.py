"""What the kernel tells of a process, and whose time a second was."""

from __future__ import annotations

import os

import pytest

from data_foundry.serving.candidate.proc import OwnWaiting, Schedule, held_mib, schedule, used


@pytest.mark.parametrize(
    ("before", "after", "own"),
    [
        # Asleep all the second: what it waits for is its own affair.
        (Schedule(1, 1, False), Schedule(1, 1, False), 1.0),
        # Ran, or was ready to and had to wait: the wait is not its own.
        (Schedule(1, 1, True), Schedule(2, 1, True), 1.0),
        (Schedule(1, 1, True), Schedule(1.25, 1.75, True), 0.25),
        # In the line since before, which the kernel has not added up yet.
        (Schedule(1, 1, True), Schedule(1, 1, True), 0.0),
        # Waited for a while, ran, and sleeps now.
        (Schedule(1, 1, True), Schedule(1.1, 1.4, False), 0.6),
        # A wait that began before the first look is counted in the second.
        (Schedule(1, 1, True), Schedule(1.1, 9.0, False), 0.0),
        (None, Schedule(1, 1, True), 1.0),
        (Schedule(1, 1, True), None, 1.0),
    ],
)
def test_time_that_others_had_the_processor_is_not_a_processes_own(before: object, after: object, own: float) -> None:
    assert used(before, after, 1.0) == pytest.approx(own)


def test_memory_that_a_process_takes_is_seen() -> None:
    before = held_mib(os.getpid())
    taken = bytearray(os.urandom(1)) * (64 * 2**20)
    after = held_mib(os.getpid())
    assert before is not None and after is not None and after - before > 60
    del taken


def test_of_a_process_that_is_gone_nothing_is_told() -> None:
    assert held_mib(2**22 + 1) is None and schedule(2**22 + 1) is None


def test_its_own_schedule_only_grows() -> None:
    waiting, first = OwnWaiting(), schedule(os.getpid())
    seconds = waiting.seconds()
    sum(range(200_000))
    second = schedule(os.getpid())
    assert first and second and second.ran >= first.ran and second.runnable and waiting.seconds() >= seconds
