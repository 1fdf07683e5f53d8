"""A version in MLflow's words: run, params, metrics, artefacts, tags and aliases, and the way back from them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.finetuning.versions.registry import Stage, Version
from data_foundry.finetuning.versions.versions import VersionRecord
from data_foundry.lake import MANIFEST, Lake, Layer, Manifest, fingerprint

PREFIX = "data_foundry."
IDENTITY = f"{PREFIX}manifest"
REGISTERED, HISTORY, DEPLOYED = f"{PREFIX}registered.", f"{PREFIX}history.", f"{PREFIX}deployment"
# Where callers or mirrored calls are; MLflow's alias of this name points at the version that is there.
ALIASED = (Stage.SHADOW, Stage.STAGING, Stage.PRODUCTION)
LONGEST_PARAM, LONGEST_NAME = 6000, 250
TRAINING_LOG = "training_log.json"
# MLflow's names of metrics and params have no other signs.
_OTHER_SIGN = re.compile(r"[^\w/.\- :]")
_SPELT = {"+": "plus", "%": "percent"}
Json = dict[str, Any]


@dataclass(frozen=True)
class MlflowRecord:
    """One version as MLflow holds it.

    `identity` names what never changes: params, metrics, artefacts (content by path) and the fixed tags. `state` are
    the tags that go with the registry: what is registered, the deployment, and one tag for every history entry.
    `time`: when it was registered, in milliseconds since 1970.
    """

    model: str
    version: str
    identity: str
    time: int
    description: str
    params: dict[str, str]
    metrics: tuple[Json, ...]
    files: dict[str, bytes]
    fixed: dict[str, str]
    state: dict[str, str]


def model_name(adapter: str) -> str:
    """Return the name of an adapter's registered model, and of the experiment with its runs."""
    return f"data-foundry-{adapter}"


def identity_of(model: Manifest) -> str:
    return fingerprint(model.model_dump(mode="json"))


def mlflow_record(lake: Lake, record: VersionRecord, model: Manifest) -> MlflowRecord:
    """Return a version as MLflow shall hold it, its files read and checked. Raises FoundryError where one is damaged,
    and for a version that is not registered."""
    if record.registered is None:
        raise FoundryError(f"{record.name} is published, and not registered yet.", "Run phase 4 again.")
    folder = lake.folder(Layer.MODELS, record.name)
    paths = lake.files(Layer.MODELS, record.name, hashed=True)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    time = int(datetime.fromisoformat(record.registered.registered_at).timestamp() * 1000)
    numbers = {_named(name): value for name, value in _figures(model.details)}
    metrics = [{"key": name, "value": value, "timestamp": time, "step": 0} for name, value in numbers.items()]
    return MlflowRecord(
        model=model_name(record.adapter),
        version=record.version,
        identity=identity_of(model),
        time=time,
        description=f"{record.name}, trained on {record.registered.base}; gates: {model.details.get('verdict')}",
        params=dict(_params(model.details)),
        metrics=(*metrics, *_curves(files.get(TRAINING_LOG), time)),
        files={**files, MANIFEST: model.text.encode("utf-8")},
        fixed=dict(_fixed_tags(model)),
        state=state_tags(record),
    )


def state_tags(record: VersionRecord) -> dict[str, str]:
    """Return the tags that change with the registry; a field that is None has none."""
    registered = asdict(record.registered) if record.registered else {}
    tags = {f"{REGISTERED}{name}": str(value) for name, value in registered.items() if value is not None}
    if record.deployment is not None:
        tags[DEPLOYED] = _json(record.deployment.details)
    return tags | {f"{HISTORY}{entry.sequence:06d}": _json(asdict(entry)) for entry in record.history}


def is_state(tag: str) -> bool:
    return tag.startswith((REGISTERED, HISTORY)) or tag == DEPLOYED


def from_mlflow(tags: Mapping[str, str], manifest: bytes) -> Json:
    """Return what `VersionRecord.as_json` said when it was exported, out of a version's tags and its manifest."""
    registered: Json = {field.name: tags.get(f"{REGISTERED}{field.name}") for field in fields(Version)}
    if registered["stage_entry"] is not None:
        registered["stage_entry"] = int(registered["stage_entry"])
    model = json.loads(manifest)
    model.pop("checksum", None)
    return {
        "name": f"{registered['engine']}/{registered['version']}",
        "registered": registered,
        "manifest": model,
        "deployment": json.loads(tags[DEPLOYED]) if DEPLOYED in tags else None,
        "history": [json.loads(tags[name]) for name in sorted(tags) if name.startswith(HISTORY)],
    }


def _fixed_tags(model: Manifest) -> Iterator[tuple[str, str]]:
    """Yield the tags that go with the manifest: hashes, verdict, gates, data and lineage."""
    details = model.details
    yield IDENTITY, identity_of(model)
    yield f"{PREFIX}key", model.key
    yield f"{PREFIX}content_hash", model.content_hash
    yield f"{PREFIX}verdict", str(details.get("verdict"))
    for gate in details.get("gates", ()):
        yield f"{PREFIX}gate.{gate['gate']}", _json(gate)
    yield f"{PREFIX}data", _json(details.get("sources"))
    yield f"{PREFIX}lineage", _json(details.get("lineage"))
    yield f"{PREFIX}files", _json({file.path: file.sha256 for file in model.files})


def _params(details: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the configuration and what it was run on; a longer value than MLflow takes is in the manifest alone."""
    named = {name: details.get(name) for name in ("base", "base_revision", "base_kind", "task")}
    named |= {f"config.{name}": value for name, value in details.get("config", {}).items()}
    named |= {f"rows.{split}": count for split, count in details.get("rows", {}).items()}
    for name, value in named.items():
        text = value if isinstance(value, str) else _json(value)
        if text and len(text) <= LONGEST_PARAM:
            yield _named(name), text


def _figures(details: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield every measured number by its path, such as test/cer/adapted and test/cer/adapted/low."""
    evaluation = details.get("evaluation", {})
    measured = {
        "test": details.get("measures"),
        "base_domain": (details.get("control") or {}).get("measures"),
        "phone": (details.get("phone") or {}).get("measures"),
        **{name: evaluation.get(name) for name in ("slices", "relative_error_reduction", "calibration", "speech")},
        "training": details.get("training"),
    }
    yield from _numbers("", measured)


def _numbers(path: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _numbers(path if name == "value" else f"{path}/{name}".lstrip("/"), each)
    elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        yield path, float(value)


def _curves(training_log: bytes | None, time: int) -> Iterator[Json]:
    """Yield every point of the curves that training kept; an equal one is held once, as MLflow does."""
    seen = set()
    parts = json.loads(training_log) if training_log else {}
    for part, log in parts.items():
        for point in log.get("curve", ()):
            for name, value in _numbers("", {key: each for key, each in point.items() if key != "step"}):
                step, key = int(point.get("step", 0)), _named(f"curve/{part}/{name}")
                if (key, step, value) not in seen:
                    seen.add((key, step, value))
                    yield {"key": key, "value": value, "timestamp": time, "step": step}


def _named(name: str) -> str:
    """Return a name that MLflow takes: signs that it does not know are spelt."""
    spelt = _OTHER_SIGN.sub(lambda sign: _SPELT.get(sign[0], f"x{ord(sign[0]):02x}"), name)
    return "/".join(part.strip(".") or "none" for part in spelt.split("/"))[:LONGEST_NAME]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
