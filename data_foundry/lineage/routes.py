"""Routes: what stands between a silver row and each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from data_foundry.config import Settings
from data_foundry.licence_terms import refusal
from data_foundry.records import AIEngine

if TYPE_CHECKING:
    import pyarrow as pa


class Route(NamedTuple):
    """Why a silver row does not serve an engine's task, none where it can, and whether it serves its domain instead."""

    reasons: list[str]
    domain: bool


def routes(silver: pa.Table, settings: Settings) -> dict[AIEngine, Route]:
    """Return the route of a silver row (a table of it) to every engine, as far as the row alone decides it."""
    from data_foundry.allocation.routing import route

    (row,) = silver.drop_columns(["audio"]).to_pylist()
    has_audio = silver["audio"][0].is_valid
    row["duration"] = (row["duration"] or 0.0) if has_audio else None
    forbidden = refusal(row["dataset"], row["licence"]) if settings.licensing.commercial_use else None
    return {
        engine: Route([*fit.lacks, *([forbidden] if forbidden else [])], fit.domain and not forbidden)
        for engine, fit in route(row).items()
    }
