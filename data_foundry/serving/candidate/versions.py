"""What a candidate's process really loads: registered versions on their bases, each checked against its hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from data_foundry.config import Settings
from data_foundry.serving.candidate.loading import Loaded, Loading, Progress, Row
from data_foundry.serving.trials.trial import BASE

if TYPE_CHECKING:
    from data_foundry.serving.weights import Weights


def loading_of(settings: Settings, adapter: str, versions: Sequence[str], *, threads: int) -> Loading:
    """Return how to load versions of an adapter; the last one is the candidate, which a base stands behind.

    The others come first: what they lack is not the candidate's fault.
    """
    own = settings.model_copy(update={"serving": settings.serving.model_copy(update={"threads": threads})})
    return Loading(f"{__name__}:load", (own, adapter, tuple(versions)))


def load(settings: Settings, adapter: str, versions: Sequence[str], progress: Progress) -> Loaded:
    """Load versions of an adapter. Raises FoundryError where one's files are gone or are not those registered.

    A version's time is what a caller of it waits where nothing else lies on the base: no version answers through
    another one's layers, a base through none. Where other adapters answer callers from the same base, too, theirs lie
    on it: a bare base and a version of few layers are a little quicker here than there.
    """
    from data_foundry.errors import FoundryError
    from data_foundry.finetuning.versions.registry import Registry
    from data_foundry.lake import Lake
    from data_foundry.serving.residents import open_residents
    from data_foundry.serving.weights import base_weights, version_weights

    lake = Lake(settings)
    registry = Registry(lake)
    known = {name: registry.version(adapter, name) for name in versions if name != BASE}
    weights: list[Weights] = []
    for name in versions:
        progress(name)
        version = known.get(name)
        if name == BASE:
            weights.append(base_weights(settings, lake, adapter, [each for each in known.values() if each]))
        elif version is None:
            raise FoundryError(f"{adapter}/{name} is not registered any more.")
        else:
            weights.append(version_weights(settings, lake, version))

    def in_turn() -> Iterator[Weights]:
        for name, each in zip(versions, weights, strict=True):
            progress(name)
            yield each

    residents = open_residents(settings, in_turn(), apart=True)
    answers = {name: _answer(resident) for name, resident in zip(versions, residents, strict=True)}
    labels = {name: tuple(resident.labels) for name, resident in zip(versions, residents, strict=True)}
    return Loaded(residents[-1].weights.task, answers, labels)


def _answer(resident: Any) -> Callable[[Row], Any]:
    def answer(row: Row) -> Any:
        return resident.predict([row], [resident.encode(row)])[0]

    return answer
