"""approve: a person's word that a version in shadow or staging may answer every caller; the evidence of calls is needed
besides. It counts for the weights and the evaluation that it is given on, for rollout.approval_days, until --revoke;
what is in production by then goes on answering until `rollback`, which never brings back what was revoked. --revoke
takes the latest approval, also one that expired or whose version retired.
A gateway that runs heeds it at its next look at the registry; --dry-run shows on what it would be given."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from data_foundry.commands.tables import WIDTH
from data_foundry.config import Settings
from data_foundry.finetuning.versions.versions import find_version
from data_foundry.lake import Lake


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("version", metavar="NAME/VERSION", help="a start of it that no other version has is enough")
    parser.add_argument("--actor", metavar="WHO", default="", help="the person who decides")
    parser.add_argument("--reason", metavar="WHY", default="", help="why, for the history")
    parser.add_argument("--revoke", action="store_true", help="take the latest approval back")


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Approve a version, or say what an approval would rest on, or take one back."""
    from data_foundry.serving.trials.approval import approve, goes_on, latest_approval, proposal, revoke

    record = find_version(Lake(settings), arguments.version)
    engine, version = record.adapter, record.version
    who = {"actor": arguments.actor, "reason": arguments.reason}
    if arguments.revoke:
        given = latest_approval if arguments.dry_run else revoke
        taken = asdict(given(settings, engine, version, **({} if arguments.dry_run else who)))
        done = "would revoke" if arguments.dry_run else "revoked"
        said = f"{done} the approval of {record.name} by {taken['approver']} of {taken['at']}"
        unchanged = goes_on(settings, record.registered) if record.registered else None
        told = {"name": record.name, done.replace(" ", "_"): taken, "goes_on": unchanged}
        print(json.dumps(told, ensure_ascii=False, indent=1) if arguments.json else said)
        if not arguments.json:
            print(f"  {unchanged or 'it answers nobody, and no rollback makes it answer'}")
        return 0
    if arguments.dry_run:
        shown = {"would": "approve", **proposal(settings, engine, version)}
    else:
        approval, given_on = approve(settings, engine, version, **who)
        shown = {"approved": asdict(approval), **given_on}
    print(json.dumps(shown, ensure_ascii=False, indent=1) if arguments.json else "\n".join(_wrapped(shown)))
    return 0


def _wrapped(shown: Mapping[str, Any]) -> Iterator[str]:
    for line in _lines(shown):
        yield from textwrap.wrap(line, WIDTH, subsequent_indent="      ", break_long_words=False)


def _lines(shown: Mapping[str, Any]) -> Iterator[str]:
    done = shown.get("approved")
    start = f"{shown['name']} is approved by {done['approver']}" if done else f"would approve {shown['name']}"
    yield f"{start} until {shown['until']}; it is in {shown['stage']}, and {shown['verdict']}"
    hashes = f"weights {shown['artefact_hash'][:12]}, evaluation {shown['evaluation_hash'][:12]}"
    yield f"  {hashes} (`models show` says of which files)"
    if not done:
        yield f"  {shown['approval']}"
    yield from (f"  gate {gate['gate']}: {gate['verdict']}: {gate['reason']}" for gate in shown["gates"])
    if score := shown["score"]:
        base, adapted = (score.get(which, {}).get("value") for which in ("base", "adapted"))
        yield f"  score {_figure(base)} -> {_figure(adapted)} on held-out rows"
    for trial in shown["trials"]:
        judgement = trial["judgement"]
        said = f"{judgement['verdict']}: {judgement['reason']}" if judgement else trial.get("fault", "not judged")
        calls = f"{trial['pairs']} calls heard by both, {trial['losses']} with feedback"
        yield f"  {trial['stage']} against {trial['incumbent']} ({calls}): {said}"
    if never := shown["unscorable"]:
        yield f"  it can't come to production all the same: {never}"


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"
