"""A version to an MLflow server, and back: whatever is written is read again and compared before it counts as done."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from data_foundry.errors import FoundryError
from data_foundry.export.mlflow_record import (
    ALIASED,
    IDENTITY,
    REGISTERED,
    MlflowRecord,
    from_mlflow,
    identity_of,
    is_state,
    mlflow_record,
    model_name,
    state_tags,
)
from data_foundry.export.mlflow_server import MlflowServer
from data_foundry.export.version_folder import published
from data_foundry.finetuning.versions.registry import Registry
from data_foundry.finetuning.versions.versions import VersionRecord, version_record
from data_foundry.lake import MANIFEST, Lake, fingerprint

Json = dict[str, Any]


def export_to_mlflow(lake: Lake, record: VersionRecord, server: MlflowServer) -> Json:
    """Bring a version to an MLflow server and return what was done; exported again, it changes nothing there.

    The version becomes one of the registered model data-foundry-<adapter>, with a run that holds params, metrics,
    curves and every file. What the registry says (stage, reasons, history, deployment) becomes tags, and aliases tell
    where each stage is; of the adapter's versions that are there already these are brought up to date, too. A killed
    export goes on where it was. Raises FoundryError where what comes back is not what was sent.
    """
    wanted = mlflow_record(lake, record, published(lake, record))
    experiment = server.experiment(wanted.model)
    if server.model(wanted.model) is None:
        server.create_model(wanted.model, f"LoRA adapters of {record.adapter}, exported by Data Foundry")
    held = _held(server, wanted.model, wanted.identity)
    made = held is None
    if held is None:
        run = _run(server, experiment, wanted)
        # Last, and whole: a version that is there has its run, its files and its tags.
        tags = {**wanted.fixed, **wanted.state}
        held = server.create_version(wanted.model, run, wanted.description, tags)
    changes = _bring_up_to_date(lake, server, record.adapter)
    differences = differences_to(server, wanted, record)
    if differences:
        raise FoundryError(
            f"{server.uri} gives back another {record.name} than it was given: {', '.join(differences[:5])}.",
            "Somebody edited it there. Delete that model version, and export again.",
        )
    return {
        "server": server.uri,
        "model": wanted.model,
        "version": str(held["version"]),
        "run_id": held["run_id"],
        "outcome": "done" if made or changes else "nothing to do",
        "changed": changes,
        "compared": {"params": len(wanted.params), "metrics": len(wanted.metrics), "files": len(wanted.files)},
    }


def read_back(server: MlflowServer, adapter: str, identity: str) -> Json:
    """Return a version from an MLflow server as `VersionRecord.as_json` has it. Raises FoundryError for none."""
    held = _held(server, model_name(adapter), identity)
    if held is None:
        raise FoundryError(f"{server.uri} holds no version of {adapter} with manifest {identity[:12]}.", "Export it.")
    run = server.run(held["run_id"])
    return from_mlflow(held["tags"], server.get(run, MANIFEST))


def differences_to(server: MlflowServer, wanted: MlflowRecord, record: VersionRecord) -> list[str]:
    """Return in what a server's version differs from what it was given; empty where it is the same to the byte."""
    held = _held(server, wanted.model, wanted.identity)
    if held is None:
        return ["it is not there"]
    run = server.run(held["run_id"])
    data = run.get("data", {})
    params = {each["key"]: each["value"] for each in data.get("params", [])}
    wrong = _unequal("tag", {**wanted.fixed, **wanted.state}, held["tags"])
    wrong += _unequal("param", wanted.params, params)
    wrong += _unequal("metric", _by_key(wanted.metrics), _metrics_held(server, run, wanted))
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in wanted.files.items()}
    there = {path: hashlib.sha256(server.get(run, path)).hexdigest() for path in server.files(run)}
    wrong += _unequal("file", hashes, there)
    # As text: a figure that is not a number is not equal to itself.
    if MANIFEST in there and fingerprint(from_mlflow(held["tags"], server.get(run, MANIFEST))) != fingerprint(
        record.as_json()
    ):
        wrong.append("what is registered")
    return wrong


def _run(server: MlflowServer, experiment: str, wanted: MlflowRecord) -> Json:
    """Return the finished run with everything in it; one that a killed export began is filled up."""
    begun = server.runs(experiment, IDENTITY, wanted.identity)
    run = begun[0] if begun else server.start_run(experiment, wanted.version, wanted.time, {IDENTITY: wanted.identity})
    for path, content in wanted.files.items():
        server.put(run, path, content)
    server.log(run["info"]["run_id"], wanted.params, wanted.metrics)
    server.finish_run(run["info"]["run_id"], wanted.time)
    return run


def _bring_up_to_date(lake: Lake, server: MlflowServer, adapter: str) -> int:
    """Let tags and aliases of an adapter's exported versions say what the registry says; return how many changed."""
    name, changes = model_name(adapter), 0
    exported: dict[str, str] = {}
    for held in server.versions(name):
        record = version_record(lake, f"{adapter}/{held['tags'].get(f'{REGISTERED}version', '')}")
        # An earlier evaluation of a version that was measured again stays as it was.
        if record.model is None or identity_of(record.model) != held["tags"].get(IDENTITY):
            continue
        exported[record.version] = str(held["version"])
        wanted, there = state_tags(record), {tag: each for tag, each in held["tags"].items() if is_state(tag)}
        for tag in wanted.keys() | there.keys():
            if tag not in wanted:
                server.delete_tag(name, held["version"], tag)
            elif wanted[tag] != there.get(tag):
                server.set_tag(name, held["version"], tag, wanted[tag])
            changes += wanted.get(tag) != there.get(tag)
    return changes + _aliases(lake, server, adapter, exported)


def _aliases(lake: Lake, server: MlflowServer, adapter: str, exported: Mapping[str, str]) -> int:
    """Let each exported version have its own name as an alias, and each stage the latest version in it."""
    name, registry = model_name(adapter), Registry(lake)
    wanted: dict[str, str] = dict(exported)
    for stage in ALIASED:
        at_stage = [each.version for each in registry.versions(adapter, stage) if each.version in exported]
        wanted |= {stage.value: exported[at_stage[-1]]} if at_stage else {}
    model = server.model(name) or {}
    there = {alias["alias"]: str(alias["version"]) for alias in model.get("aliases", [])}
    gone = [stage.value for stage in ALIASED if stage.value in there and stage.value not in wanted]
    for alias in gone:
        server.delete_alias(name, alias)
    new = [alias for alias, version in wanted.items() if there.get(alias) != version]
    for alias in new:
        server.set_alias(name, alias, wanted[alias])
    return len(gone) + len(new)


def _held(server: MlflowServer, name: str, identity: str) -> Json | None:
    return next((held for held in server.versions(name) if held["tags"].get(IDENTITY) == identity), None)


def _metrics_held(server: MlflowServer, run: Json, wanted: MlflowRecord) -> dict[str, list[tuple[int, float]]]:
    """Return a run's metrics as points by key; those with one value come with the run itself."""
    single = {each["key"]: [each] for each in run.get("data", {}).get("metrics", [])}
    curves = {key for key, points in _by_key(wanted.metrics).items() if len(points) > 1}
    full = {key: server.curve(run["info"]["run_id"], key) if key in curves else held for key, held in single.items()}
    return _by_key([{**each, "key": key} for key, points in full.items() for each in points])


def _by_key(metrics: Any) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for each in metrics:
        found.setdefault(each["key"], []).append((int(each.get("step", 0)), float(each["value"])))
    return {key: sorted(points) for key, points in found.items()}


def _unequal(kind: str, wanted: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    return [f"{kind} {name}" for name in sorted(wanted.keys() | there.keys()) if wanted.get(name) != there.get(name)]
