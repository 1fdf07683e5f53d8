"""The whole of phases 1 and 2 under every fault of a Hub: wrong bytes stay out, the other datasets come, the message
helps, no token shows, and once the Hub is well a rerun ends where an undisturbed run does, fetching what was missing.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from data_foundry.lake import Layer
from tests.ingestion.builders import NEWS
from tests.ingestion.hostile import OTHERS, SHARD, SMALL, TOKEN, VICTIM, Run, Stage, forget, shard, stock, victim
from tests.loopback_hub import Fault, LoopbackHub

Prepare = Callable[[LoopbackHub], object]
INFO, TREE, ALWAYS = f"/api/datasets/{VICTIM}/revision", f"/api/datasets/{VICTIM}/tree", 10**6
WAIT_AND_RERUN = r"Run again later: what is done is kept, and the same command goes on there"
SOMETHING_BETWEEN = r"A proxy, mirror or login page stands before .*what is done is kept"
NETWORK = r"Check the network, HF_ENDPOINT and proxies.*what is done is kept"
TERMS = rf"http://\S+/datasets/{VICTIM}"


@dataclass(frozen=True)
class Case:
    """A fault and what must come of it. `cause` and `way_out` are patterns of the message; no cause: it heals.

    `file`: which one the message names. `typed`: the script runs as a process of its own. `others` false: the fault
    strikes every dataset.
    """

    prepare: Prepare
    cause: str = ""
    way_out: str = ""
    file: str = ""
    typed: bool = False
    others: bool = True
    token: str = TOKEN
    settings: dict[str, object] = field(default_factory=dict)


def strikes(path: str, act: int | str, times: int = ALWAYS, **headers: str) -> Prepare:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda hub: hub.faults.append(Fault(path, act, times=times, headers=named))


def crowded(headers: Callable[[], dict[str, str]]) -> Prepare:
    """A 429 whose headers are made when it is set up: they may hold a date."""
    return lambda hub: hub.faults.append(Fault(SHARD, 429, headers=headers()))


def access(**changed: object) -> Prepare:
    """Close the victim's repository; its token may no longer read it."""

    def prepare(hub: LoopbackHub) -> None:
        vars(hub.repositories["datasets", VICTIM]).update(changed)
        for allowed in hub.tokens.values():
            allowed.discard(VICTIM)

    return prepare


def narrow_token(hub: LoopbackHub) -> None:
    access(refuse=(403, "", "Your fine-grained token lacks the scope repo.content.read"))(hub)
    hub.auth[TOKEN] = {"displayName": "test", "role": "fineGrained", "fineGrained": {"canReadGatedRepos": False}}


def vanishes(hub: LoopbackHub) -> None:
    """The file disappears from its commit between the list of files and the request for it."""
    commit = hub.repositories["datasets", VICTIM].commits
    hub.faults.append(Fault(SHARD, lambda: [files.pop(SHARD, None) for files in commit.values()]))


def repository_goes(hub: LoopbackHub) -> None:
    del hub.repositories["datasets", VICTIM]


def moves(path: str) -> Prepare:
    """Somebody pushes a new commit right before a request is answered."""
    newer = victim(t1=shard("newer", 1))
    return lambda hub: hub.faults.append(Fault(path, lambda: hub.add("datasets", VICTIM, newer)))


def xet_without_a_server(hub: LoopbackHub) -> None:
    hub.xet = True


HEALED = {
    "429 with Retry-After in seconds": Case(strikes(SHARD, 429, 1, Retry_After="1"), typed=True),
    "429 with Retry-After as a date": Case(
        crowded(lambda: {"Retry-After": email.utils.formatdate(time.time() + 1, usegmt=True)})
    ),
    "429 with RateLimit": Case(strikes(SHARD, 429, 1, RateLimit='"resolvers";r=0;t=1')),
    "short burst of 500 and 503": Case(lambda hub: [strikes(SHARD, status, 1)(hub) for status in (500, 503)]),
    "the list of files stumbles": Case(lambda hub: [strikes(path, 503, 1)(hub) for path in (INFO, TREE)]),
    "reset in mid-body": Case(strikes(SHARD, "reset", 1), typed=True),
    "orderly hang-up in mid-body": Case(strikes(SHARD, "hangup", 1), typed=True),
    "reset before the answer": Case(strikes(SHARD, "drop", 1)),
    "stall": Case(strikes(SHARD, "stall", 1), typed=True, settings={"stall_seconds": 2}),
    "short body once": Case(strikes(SHARD, "short", 1)),
    "flipped bytes once": Case(strikes(SHARD, "corrupt", 2), typed=True),
    "flipped bytes of a small file once": Case(strikes(SMALL, "corrupt", 1)),
    "HTML once": Case(strikes(SHARD, "html", 1)),
    "another commit's answer once": Case(strikes(SHARD, "commit", 1)),
    "wrong etag": Case(strikes(SHARD, "etag"), typed=True),
    "no header of a Hub": Case(strikes(SHARD, "bare")),
    "parts are not served after a cut": Case(
        lambda hub: [strikes(SHARD, "reset", 1)(hub), strikes(SHARD, "norange")(hub)]
    ),
    "the ref moves after it was resolved": Case(moves(TREE), typed=True),
    "the ref moves between two files": Case(moves(SHARD)),
    "Xet advertised, nothing behind it": Case(xet_without_a_server, typed=True),
}
REFUSED = {
    "401 gated, no token": Case(
        access(gated=True), r"is gated \(401\) and no access token is set",
        rf"Accept its terms at {TERMS}.*settings/tokens.*HUGGINGFACE_TOKEN or HF_TOKEN", token="", typed=True,
    ),
    "401 private, no token": Case(
        access(private=True), r"no such repository at .* \(401\): missing, renamed, or private", rf"Look at {TERMS}",
        token="",
    ),
    "401 wrong token": Case(
        lambda hub: None, r"refuses the access token \(401\): it is wrong", r"Make a new one at http://\S+/settings/tokens",
        token="hf_wrongAndSecret", others=False, typed=True,
    ),
    "403 gated": Case(
        access(gated=True), r"is gated \(403\) and the account 'tester' has not accepted its terms",
        r"Accept them at http://\S+", typed=True,
    ),
    "403 wrong scope": Case(
        narrow_token, r"the fine-grained token of the account 'tester' lacks the right to read it \(403\)",
        r"Give it read access to this repository at http://\S+/settings/tokens", typed=True,
    ),
    "403 that echoes the token": Case(strikes(SHARD, "echo"), r"403", r"settings/tokens", file=SHARD),
    "404 repository": Case(
        repository_goes, r"no such repository at .* \(404\): missing, renamed, or private and hidden",
        rf"Look at {TERMS}", typed=True,
    ),
    "404 file": Case(
        strikes(SHARD, 404), r"answers 404, without a reason", r"Check that HF_ENDPOINT names a Hub", SHARD
    ),
    "disappearing file": Case(
        vanishes, r"is gone from its commit \(404\)", rf"Look at {TERMS}; run again, or pin", SHARD, typed=True
    ),
    "429 that asks for an hour": Case(
        strikes(SHARD, 429, Retry_After="3600"), r"answers 429, .*; it asks to wait 3600 s", WAIT_AND_RERUN, SHARD,
        typed=True,
    ),
    "429 for ever": Case(strikes(SHARD, 429), r"answers 429, .* after 2 tries", WAIT_AND_RERUN, SHARD),
    "500 for ever": Case(strikes(SHARD, 500), r"answers 500 after 2 tries", WAIT_AND_RERUN, SHARD, typed=True),
    "503 of the list of files": Case(strikes(TREE, 503), r"answers 503 after 2 tries", WAIT_AND_RERUN),
    "503 of the commit": Case(strikes(INFO, 503), r"answers 503 after 2 tries", WAIT_AND_RERUN),
    "no answer at all": Case(
        strikes(INFO, "silent"), r"can't reach \S+.*ReadTimeout", NETWORK, settings={"stall_seconds": 1}
    ),
    "reset for ever": Case(strikes(SHARD, "reset"), r"can't reach \S+.*connection lost", NETWORK, SHARD, typed=True),
    "hang-up for ever": Case(strikes(SHARD, "hangup"), r"can't reach \S+", NETWORK, SHARD),
    "stall for ever": Case(
        strikes(SHARD, "stall"), r"can't reach \S+.*ReadTimeout", NETWORK, SHARD, settings={"stall_seconds": 1}
    ),
    "short body": Case(
        strikes(SHARD, "short"), r"the server sent \d+ bytes instead of \d+", SOMETHING_BETWEEN, SHARD, typed=True
    ),
    "longer body": Case(
        strikes(SHARD, "long"), r"the server sent \d+ bytes instead of \d+", SOMETHING_BETWEEN, SHARD
    ),
    "flipped bytes of the right length": Case(
        strikes(SHARD, "corrupt"), r"has sha256 \w{64} instead of \w{64}, 3 times in a row",
        r"a proxy or mirror alters .*nothing wrong was kept", SHARD, typed=True,
    ),
    "flipped bytes of a small file": Case(
        strikes(SMALL, "corrupt"), r"has git hash \w{40} not \w{40}, 3 times in a row", r"nothing wrong was kept", SMALL
    ),
    "HTML instead of a file": Case(
        strikes(SHARD, "html"), r"the server sent 24 bytes instead of \d+: a web page", SOMETHING_BETWEEN, SHARD,
        typed=True,
    ),
    "HTML instead of the list": Case(
        strikes(TREE, "html"), r"something else than a list of files", SOMETHING_BETWEEN
    ),
    "another commit's answer": Case(
        strikes(SHARD, "commit"), r"answered from commit f{40} instead of \w{40}", SOMETHING_BETWEEN, SHARD
    ),
    "flipped bytes and Xet": Case(
        lambda hub: [xet_without_a_server(hub), strikes(SHARD, "corrupt")(hub)], r"3 times in a row",
        r"nothing wrong was kept", SHARD,
    ),
}  # fmt: skip


def disturbed(case: Case, stage: Stage) -> Run:
    if not case.token:
        stage.hub.tokens.clear()
    case.prepare(stage.hub)
    return stage.run(typed=case.typed, token=case.token, **{"retries": 1 if case.cause else 2, **case.settings})


@pytest.mark.parametrize("name", HEALED)
def test_a_fault_that_passes_or_does_not_matter_leaves_no_trace(name, stage, undisturbed):
    run = disturbed(HEALED[name], stage)
    assert run.code == 0, run.printed
    assert stage.hub.struck or stage.hub.xet
    assert "Traceback" not in run.printed
    stage.check_token(run)
    stage.check_raw()
    stage.run(phase="phase2")
    assert stage.tree() == undisturbed


@pytest.mark.parametrize("name", REFUSED)
def test_a_fault_that_lasts_costs_one_dataset_says_so_and_is_made_up_for(name, stage, undisturbed):
    case = REFUSED[name]
    run = disturbed(case, stage)
    assert run.code == 1, run.printed
    # The message, on the terminal and in the report: dataset, file, cause, next step.
    reason = run.of(VICTIM)["reason"]
    message, _, hint = reason.partition("\n  -> ")
    assert message.startswith(VICTIM) and case.file in message
    assert re.search(case.cause, message), message
    assert re.search(case.way_out, hint), hint
    # Told in full, or, where a dataset before it met the same, by referring to that one.
    in_full = reason.removeprefix(f"{VICTIM}: ") in run.printed
    assert in_full or f"{VICTIM}: for the same reason as" in run.printed
    assert "Traceback" not in run.printed
    assert any(VICTIM in told and re.search(case.cause, told) for told in run.report["reasons"])
    assert run.report["datasets"][VICTIM]["status"] == "failed" and run.report["exit_code"] == 1
    stage.check_token(run, case.token or TOKEN)
    # The data: nothing of the victim, everything of the others, in raw and in silver.
    stage.check_raw()
    assert stage.lake.names(Layer.RAW) == (sorted(OTHERS) if case.others else [])
    stage.run(phase="phase2")
    assert stage.tree("silver") == {
        path: sha256
        for path, sha256 in undisturbed.items()
        if case.others and path.startswith("silver/") and VICTIM not in path
    }
    # The Hub is well again.
    lacking = stage.missing()
    assert f"{VICTIM}/{case.file or SHARD}" in lacking
    stock(stage.hub)
    stage.runs_through()
    assert stage.tree() == undisturbed
    asked = stage.asked()
    assert [path for path in asked if path.startswith(VICTIM)] == lacking
    assert asked == lacking or not case.others


@pytest.mark.parametrize("act", ["corrupt", "html", "hangup", 503])
def test_an_update_that_fails_leaves_the_old_commit_whole_in_raw_and_silver(act, stage, undisturbed):
    stage.runs_through()
    newer = victim(t1=shard("newer", 1), t2=shard("newer", 2))
    stage.hub.add("datasets", VICTIM, newer)
    stage.hub.faults = [Fault(SHARD, act, times=ALWAYS)]
    forget(stage.hub)
    run = stage.run(retries=1)
    assert run.code == 1 and SHARD in run.of(VICTIM)["reason"]
    stage.check_raw()
    assert stage.run(phase="phase2").code == 0
    assert stage.tree("silver") == {path: sha256 for path, sha256 in undisturbed.items() if path.startswith("silver/")}
    stage.hub.faults = []
    lacking = stage.missing(newer)
    forget(stage.hub)
    stage.runs_through()
    stage.check_raw()
    assert f"{VICTIM}/{SHARD}" in lacking and stage.asked() == lacking
    fresh = Stage(stage.base.with_name("fresh"), stage.hub)
    fresh.runs_through()
    assert stage.tree() == fresh.tree()


def test_a_shard_whose_schema_drifts_is_ingested_as_it_is_and_told_of(stage):
    stock(stage.hub, victim(t1=shard("train", 1, dialect=["x"] * 10)))
    run = stage.run(typed=True)
    assert run.code == 0, run.printed
    stage.check_raw()
    findings = {finding["kind"]: finding for finding in run.report["datasets"][VICTIM]["findings"]}
    assert findings["schema_drift"]["examples"] == [SHARD] and "dialect" in findings["schema_drift"]["message"]
    assert stage.run(phase="phase2").code == 0
    assert stage.lake.manifest(Layer.SILVER, VICTIM).rows_in == 40


def test_a_hub_that_is_down_is_said_of_every_dataset_and_costs_no_ingested_one(stage, undisturbed):
    with LoopbackHub() as gone:
        stock(gone)
        away = Stage(stage.base, gone)
        assert away.run(datasets=[NEWS]).code == 0
    kept = stage.tree()
    run = away.run(typed=True, retries=1)
    assert run.code == 1 and "Traceback" not in run.printed
    for dataset in (VICTIM, *OTHERS):
        assert re.search(rf"{dataset}: can't reach {away.hub.url} after 2 tries", run.of(dataset)["reason"])
        assert re.search(NETWORK, run.of(dataset)["reason"])
    assert stage.tree() == kept
