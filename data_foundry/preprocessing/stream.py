"""The stream of silver rows of one dataset: raw rows read in order, heard by several threads, standardized in order.

Decoding, resampling and measuring happen outside Python's lock, so threads of one process use all cores on one large
dataset. Texts, and what depends on earlier rows, are left to where the rows are in order again: 1 or N workers give
the same rows. Long recordings are heard alone and piece by piece: memory does not grow with their length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from data_foundry.config import Settings
from data_foundry.preprocessing.duplicates import SeenRows
from data_foundry.preprocessing.readers import RawRow
from data_foundry.preprocessing.silver_audio import is_long, silver_audio
from data_foundry.preprocessing.utterance import Row, Standardizer, refused
from data_foundry.records import Rejected

Item = TypeVar("Item")
Result = TypeVar("Result")


def silver_rows(
    settings: Settings, standardizer: Standardizer, raws: Iterable[RawRow], seen: SeenRows
) -> Iterator[Row]:
    """Yield the rows that raw rows become, accepted and rejected, in raw order; a rejected one has a `reason`."""
    hear = partial(silver_audio, gates=settings.audio)
    for raw, heard in in_order(hear, raws, settings.workers, is_long, lambda raw: raw.payload is not None):
        for row in standardizer.rows(raw, heard):
            if row["reason"] is None:
                try:
                    seen.mark(row)
                except Rejected as refusal:
                    row = refused(row, refusal)
            yield row


def in_order(
    function: Callable[[Item], Iterator[Result]],
    items: Iterable[Item],
    threads: int,
    alone: Callable[[Item], bool],
    worth_it: Callable[[Item], bool],
) -> Iterator[tuple[Item, Iterator[Result]]]:
    """Yield every item with an iterator over what `function` gives for it, in the items' order.

    Up to `threads` items are worked on ahead of time, each as a whole. One to be worked on `alone`, or not `worth_it`,
    is worked on as its iterator is consumed. What `function` raises comes out of the item's iterator.
    """
    if threads <= 1:
        yield from ((item, function(item)) for item in items)
        return
    waiting: deque[tuple[Item, Iterator[Result]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            if worth_it(item) and not alone(item):
                waiting.append((item, _results(pool.submit(_all, function, item))))
            else:
                waiting.append((item, function(item)))
            while waiting and (len(waiting) > 2 * threads or not worth_it(waiting[0][0])):
                yield waiting.popleft()
        yield from waiting


def _all(function: Callable[[Item], Iterator[Result]], item: Item) -> list[Result]:
    return list(function(item))


def _results(future: Future[list[Result]]) -> Iterator[Result]:
    yield from future.result()
