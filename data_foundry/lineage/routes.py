"""Routes: what stands between a silver row and each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from data_foundry.config import Settings
from data_foundry.engines import ENGINES
from data_foundry.licence_terms import NON_COMMERCIAL, UNKNOWN, refusal
from data_foundry.records import AIEngine

if TYPE_CHECKING:
    import pyarrow as pa


class Route(NamedTuple):
    """Why a silver row does not serve an engine's task, and for which of these reasons gold refuses it.

    Both are empty for a row that serves; one that serves the engine's domain alone has reasons and no refusal.
    """

    reasons: list[str]
    refusal: str | None


def routes(silver: pa.Table, settings: Settings) -> dict[AIEngine, Route]:
    """Return the route of a silver row (a table of it) to every engine, as far as the row alone decides it."""
    from data_foundry.allocation.routing import route

    (row,) = silver.drop_columns(["audio"]).to_pylist()
    has_audio = silver["audio"][0].is_valid
    row["duration"] = (row["duration"] or 0.0) if has_audio else None
    forbidden = refusal(row["dataset"], row["licence"]) if settings.licensing.commercial_use else None
    return {
        engine: Route(
            [*fit.lacks, *([forbidden] if forbidden else [])],
            forbidden if fit.able or fit.domain else fit.lacks[0],
        )
        for engine, fit in route(row).items()
    }


def decided_alone(engine: AIEngine) -> set[str]:
    """Return the reasons for which an engine refuses a row that the row alone decides, without any other."""
    return {NON_COMMERCIAL, UNKNOWN, *(need.reason for need in ENGINES[engine].requirements)}
