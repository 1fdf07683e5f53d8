"""The order in which training rows are seen: another one every epoch, with rows of about one length in a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

POOL_BATCHES = 50
"""Rows are sorted by length among those of so many batches, drawn at random, so that batches stay random enough."""
FEWEST_POOLS = 4


@dataclass
class BatchOrder:
    """Yields the indices of one epoch, as a sampler does.

    The order depends on `lengths`, `batch_size` (the rows of a step), `seed` and `epoch` alone: not on how a step is
    cut up among processes, nor on what was drawn at random before, so that a training taken up again sees the same.
    Without `lengths` it is a random order. Rows that fill no whole batch come last. `filled_up_to`: the order is filled
    up to a multiple of it with `padding`.
    """

    rows: int
    batch_size: int
    seed: int
    lengths: Sequence[int] | None = None
    filled_up_to: int = 1
    padding: int = -1
    epoch: int = 0

    def __len__(self) -> int:
        return self.rows + -self.rows % self.filled_up_to

    def __iter__(self) -> Iterator[int]:
        yield from self.of_epoch(self.epoch)
        yield from [self.padding] * (-self.rows % self.filled_up_to)

    def of_epoch(self, epoch: int) -> list[int]:
        """Return the indices of an epoch; of the first one, the batch with the longest row comes first.

        That way a batch that memory does not hold is met at the start, not after hours.
        """
        import numpy as np

        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(self.rows)
        if self.lengths is None or len(set(self.lengths)) < 2:
            return order.tolist()
        lengths = np.asarray(self.lengths)
        whole = self.rows - self.rows % self.batch_size
        pool = self.batch_size * max(1, min(whole // (self.batch_size * FEWEST_POOLS), POOL_BATCHES))
        grouped, last = order[:whole], order[whole:]
        for start in range(0, whole, pool):
            drawn = grouped[start : start + pool]
            grouped[start : start + pool] = drawn[np.argsort(-lengths[drawn], kind="stable")]
        batches = random.permutation(grouped.reshape(-1, self.batch_size))
        if epoch == 0 and len(batches):
            longest = int(lengths[batches].max(axis=1).argmax())
            batches[[0, longest]] = batches[[longest, 0]]
        return [*batches.ravel().tolist(), *last[np.argsort(-lengths[last], kind="stable")].tolist()]


def padding_share(lengths: Sequence[int], order: Sequence[int], rows_at_a_time: int) -> float:
    """Return which share of all positions in the batches of an order is padding."""
    filled = positions = 0
    for start in range(0, len(order), rows_at_a_time):
        batch = [lengths[index] for index in order[start : start + rows_at_a_time]]
        filled += sum(batch)
        positions += max(batch) * len(batch)
    return 1 - filled / positions if positions else 0.0
