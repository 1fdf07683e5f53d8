"""The mirror: whatever the candidate does, no caller waits, every chosen call is accounted for, and pairs are fair."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from misbehaving import loading
from processes import wait_for

from data_foundry.config import Settings
from data_foundry.finetuning.versions.registry import Stage
from data_foundry.serving.calls import Answer
from data_foundry.serving.candidate import mirror
from data_foundry.serving.candidate.mirror import Mirror
from data_foundry.serving.candidate.selection import call_hash, candidate_first, is_chosen
from data_foundry.serving.trials.judgement import Judge
from data_foundry.serving.trials.trial import Pair, Side, Source, Trial
from data_foundry.serving_settings import Rollout

KEY = b"the operator's key"
IDS = [f"call-{number}" for number in range(400)]


class World:
    """A mirror, what it recorded, and who was told of both answers."""

    def __init__(self, settings: Settings, trial: Trial, kept: Any, given: Any) -> None:
        self.pairs: list[Pair] = []
        self.told: list[tuple[str, Any, Any]] = []
        self.kept = kept
        self.trial = trial
        self.mirror = Mirror(
            settings, self.trial, key=KEY, record=self._record, paired=self._paired, backoff=(0.01, 0.05), **given
        )

    def offer(self, *ids: str, by: str | None = "old", error: str | None = None) -> None:
        for call_id in ids:
            answer = by and Answer(call_id, "stt", by, "text", 0.9, 5.0)
            self.mirror.offer(call_id, f"request of {call_id}", {"text": call_id}, answer or None, error)

    def settled(self, calls: int) -> dict[str, Any]:
        """The counts when so many calls were offered and none waits."""
        wait_for(lambda: self.counts()["calls"] == calls and self.counts()["waiting"] == 0)
        return self.counts()

    def counts(self) -> dict[str, Any]:
        """The counts, which add up at any moment."""
        found = self.mirror.counts()
        assert found["chosen"] == found["mirrored"] + sum(found["dropped"].values()) + found["waiting"]
        assert found["mirrored"] == found["answered"] + found["timed_out"] + sum(found["errors"].values())
        assert found["waiting"] >= 0 and found["chosen"] <= found["calls"]
        return found

    def _record(self, pair: Pair) -> bool:
        self.pairs.append(pair)
        return self.kept(pair) if self.kept else True

    def _paired(self, trial: Trial, call_id: str, incumbent: Any, candidate: Any) -> None:
        assert trial == self.trial
        self.told.append((call_id, incumbent, candidate))


Build = Callable[..., World]


@pytest.fixture
def world(with_settings: Callable[..., Settings]) -> Iterator[Build]:
    """Start a mirror: world(new="hang"), with settings of deployment by name."""
    made: list[World] = []

    def build(
        new: str = "good",
        old: str = "good",
        stage: Stage = Stage.SHADOW,
        kept: Any = None,
        source: Source = "live",
        worked: Callable[[], float] = lambda: 0.0,
        watched: int = 0,
        **deployment: Any,
    ) -> World:
        given = {"loading": loading(old=old, new=new), "worked": worked}
        limits = {"shadow_share": 1.0, "shadow_queue_size": 1000, "shadow_timeout_seconds": 30.0, **deployment}
        rollout = {"staging_share": 0.2, "worker_memory_mib": 256, "watched_calls": watched}
        settings = with_settings(deployment=limits, rollout=rollout)
        found = World(settings, Trial("stt", "new", "old", stage, "2026-01-01T00:00:00Z", source), kept, given)
        made.append(found)
        found.mirror.start()
        return found

    yield build
    for each in made:
        each.mirror.close()
        assert each.counts()["waiting"] == 0


def test_the_chosen_share_is_heard_by_both_in_one_process_and_everybody_hears_of_it(world: Build) -> None:
    found = world(shadow_share=0.1)
    found.offer(*IDS)
    counts = found.settled(400)
    chosen = [call_id for call_id in IDS if is_chosen(call_id, KEY, 0.1, "shadow")]
    assert (counts["chosen"], counts["answered"], counts["mirrored"]) == (len(chosen),) * 3
    assert [pair.call for pair in found.pairs] == [call_hash(f"request of {call_id}", KEY) for call_id in chosen]
    assert found.told == [(f"request of {call_id}", f"heard {call_id}", f"heard {call_id}") for call_id in chosen]
    for pair in found.pairs:
        assert pair.trial == found.trial.id and pair.disagreement == 0.0
        assert pair.incumbent.milliseconds is not None and pair.candidate.milliseconds is not None
        assert (pair.incumbent.confidence, pair.candidate.confidence) == (0.9, 0.9)


def test_who_is_asked_first_is_drawn_by_lot(world: Build) -> None:
    found = world(new="who", old="who")
    found.offer(*IDS[:60])
    found.settled(60)
    first = {}
    for call_id, old, new in found.told:
        (process, *_, asked_old), (same, *_, asked_new) = old.split(), new.split()
        assert process == same
        first[call_id] = float(asked_new) < float(asked_old)
    assert first == {name: candidate_first(name, KEY) for name in (f"request of {call_id}" for call_id in IDS[:60])}
    assert 20 < sum(first.values()) < 40


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        ("raise_error", "RuntimeError"),
        ("garbage", "KeyError"),
        ("leave", "died"),
        ("eat", "out_of_memory"),
    ],
)
def test_every_failure_of_the_candidate_is_an_error_in_a_pair_with_the_incumbents_answer(
    world: Build, act: str, kind: str
) -> None:
    found = world(act)
    found.offer(*IDS[:3])
    counts = found.settled(3)
    assert (counts["errors"], counts["answered"], counts["dropped"]) == ({kind: 3}, 0, {})
    assert [(pair.candidate.error, pair.incumbent.error, pair.disagreement) for pair in found.pairs] == [
        (kind, None, None)
    ] * 3
    assert all(pair.candidate.milliseconds is None for pair in found.pairs)
    assert all(pair.incumbent.milliseconds is not None for pair in found.pairs)
    assert not found.told
    assert counts["examples"] and not any(call_id in str(found.mirror.state()) for call_id in IDS[:3])


def test_no_offer_waits_for_a_candidate_that_hangs(world: Build) -> None:
    """Its time-out is far away, so all 200 offers were over before it was told to have failed a single one."""
    found = world("hang", shadow_queue_size=2)
    assert found.mirror._process.wait_ready(30)
    found.offer(*IDS[:200])
    counts = found.counts()
    assert counts["mirrored"] == 0 and counts["waiting"] in (2, 3)
    assert counts["dropped"] == {"queue_full": 200 - counts["waiting"]}


def test_a_candidate_that_hangs_fails_the_calls_that_it_was_asked(world: Build) -> None:
    found = world("hang", shadow_timeout_seconds=0.2)
    found.offer(*IDS[:2])
    counts = found.settled(2)
    assert (counts["timed_out"], counts["mirrored"], counts["dropped"]) == (2, 2, {})
    assert {(pair.candidate.error, pair.incumbent.error) for pair in found.pairs} == {("timed_out", None)}


def test_a_candidate_that_is_slow_to_load_misses_nothing_that_the_queue_holds(world: Build, tmp_path: Any) -> None:
    found = world(shadow_queue_size=5)
    found.offer(*IDS[:5])
    assert found.settled(5)["answered"] == 5
    assert all(pair.candidate.error is None for pair in found.pairs)


def test_calls_beyond_the_queue_are_dropped_while_it_loads(world: Build) -> None:
    found = world("endless", shadow_queue_size=5)
    found.offer(*IDS[:20])
    counts = found.counts()
    # One may have left the queue, to wait before the process.
    assert counts["dropped"] in ({"candidate_down": 14}, {"candidate_down": 15})
    assert counts["waiting"] == 20 - counts["dropped"]["candidate_down"]


def test_a_candidate_whose_files_are_not_those_registered_fails_every_call_and_callers_had_their_answers(
    world: Build,
) -> None:
    found = world("broken")
    found.offer(*IDS[:4])
    assert found.settled(4)["errors"] == {"not_loaded": 4}
    assert {(pair.candidate.error, pair.incumbent) for pair in found.pairs} == {
        ("not_loaded", type(found.pairs[0].incumbent)(None))
    }
    assert "not those registered" in found.mirror.state()["process"]["reason"]


def test_an_incumbent_that_can_not_be_loaded_makes_no_candidate_look_good_that_answered_nobody(world: Build) -> None:
    found = world(old="broken")
    found.offer(*IDS[:4])
    found.offer(*IDS[4:6], by="base")
    counts = found.settled(6)
    assert not found.pairs and counts["mirrored"] == 0
    assert sum(counts["dropped"].values()) == 6
    assert counts["dropped"].keys() <= {"incumbent_not_loaded", "candidate_down"}


@pytest.mark.parametrize("old", ["broken", "fatal"])
def test_how_the_candidate_did_with_its_own_callers_counts_whatever_became_of_the_incumbents_files(
    world: Build, old: str
) -> None:
    found = world(old=old, stage=Stage.PRODUCTION)
    found.offer(*IDS[:3], by=None, error="RuntimeError")
    found.offer(*IDS[3:5], by="new")
    counts = found.settled(5)
    assert (counts["errors"], counts["answered"], counts["dropped"]) == ({"RuntimeError": 3}, 2, {})
    assert [pair.candidate.error for pair in found.pairs] == ["RuntimeError"] * 3 + [None] * 2
    assert all(pair.incumbent == Side(None) for pair in found.pairs)


@pytest.mark.parametrize(("old", "kind"), [("killed_where_leaked", "died"), ("refused_where_leaked", "MemoryError")])
def test_what_a_candidate_leaks_is_its_error_where_the_incumbent_alone_meets_the_end_of_memory(
    world: Build, old: str, kind: str
) -> None:
    found = world("leak", old=old)
    found.offer(*IDS[:30])
    counts = found.settled(30)
    assert counts["errors"].keys() == {kind} and counts["errors"][kind] >= 10 and counts["dropped"] == {}
    assert {(pair.incumbent.error, pair.incumbent.milliseconds is None) for pair in found.pairs} == {(None, False)}
    assert len(found.told) == counts["answered"] and counts["examples"] == [kind]


def test_a_candidate_that_takes_the_memory_answers_for_an_error_of_the_incumbents_by_any_name(world: Build) -> None:
    found = world("take", old="refused_where_taken")
    found.offer(*IDS[:8])
    counts = found.settled(8)
    assert counts["errors"].keys() == {"RuntimeError"} and counts["dropped"] == {}
    assert {pair.incumbent.error for pair in found.pairs} == {None}
    assert found.mirror.state()["process"]["deaths"]["renewed"] >= 1


@pytest.mark.parametrize(
    ("old", "kind"), [("leave", "died"), ("eat", "out_of_memory"), ("swallow", "MemoryError"), ("hang", "timed_out")]
)
def test_an_incumbent_that_fails_by_itself_is_not_laid_at_the_candidates_door(
    world: Build, old: str, kind: str
) -> None:
    found = world("good", old=old, shadow_timeout_seconds=0.3 if kind == "timed_out" else 30.0)
    found.offer(*IDS[:6])
    counts = found.settled(6)
    assert (counts["errors"], counts["answered"], counts["dropped"]) == ({}, 6, {})
    assert {(pair.candidate.error, pair.incumbent.error) for pair in found.pairs} == {(None, kind)}


def test_an_incumbent_that_ends_the_process_at_some_calls_answers_for_those_alone(world: Build) -> None:
    found = world("good", old="die_on_demand")
    calls = ["one", "die", "two", "die", "die", "three"]
    found.offer(*calls)
    assert found.settled(6)["errors"] == {}
    assert [pair.incumbent.error for pair in found.pairs] == ["died" if call == "die" else None for call in calls]


def test_where_both_end_the_process_each_answers_for_itself(world: Build) -> None:
    found = world("leave", old="leave")
    found.offer(*IDS[:6])
    assert found.settled(6)["errors"] == {"died": 6}
    assert {(pair.candidate.error, pair.incumbent.error) for pair in found.pairs} == {("died", "died")}


def test_a_candidate_that_dies_and_leaves_the_incumbent_nothing_answers_for_the_pair_alone(world: Build) -> None:
    found = world("leak_and_die", old="killed_where_leaked")
    found.offer(*IDS[:6])
    assert found.settled(6)["errors"] == {"died": 6}
    assert {(pair.incumbent.error, pair.incumbent.milliseconds is None) for pair in found.pairs} == {(None, False)}


def test_an_end_after_which_nothing_can_be_loaded_is_evidence_against_the_candidate(
    world: Build, tmp_path: Any
) -> None:
    """The candidate takes the flag away by which both were loaded, and ends the process at the incumbent's turn."""
    flag = tmp_path / "memory is left"
    flag.touch()
    found = world(f"take away {flag}", old=f"broken until {flag}")
    found.offer(*IDS[:8])
    counts = found.settled(8)
    assert counts["answered"] <= 1 and counts["errors"] == {"died": 1}
    assert sum(counts["dropped"].values()) == 7 - counts["answered"]


def test_a_candidate_that_has_the_incumbent_killed_in_every_sixth_pair_does_not_pass(world: Build) -> None:
    found = world("leak", old="killed_where_leaked")
    found.offer(*IDS[:30])
    found.settled(30)
    judge = Judge(Rollout(min_calls=20), found.trial)
    for pair in found.pairs * 80:
        judge.pair(pair)
    errors = judge.judgement().metrics["errors"]
    assert errors.verdict == "fail" and errors.mean and errors.mean > 0.1


def test_an_incumbent_that_fails_is_the_incumbents_error_and_the_candidate_still_answers(world: Build) -> None:
    found = world(old="raise_error")
    found.offer(*IDS[:4])
    assert found.settled(4)["answered"] == 4
    assert {(pair.candidate.error, pair.incumbent.error) for pair in found.pairs} == {(None, "RuntimeError")}


def test_a_death_from_outside_in_the_middle_of_traffic_loses_no_account(world: Build) -> None:
    found = world("slow", old="slow")
    found.offer(*IDS[:3])
    wait_for(lambda: found.mirror.ready)
    os.kill(found.mirror.state()["process"]["pid"], signal.SIGKILL)
    counts = found.settled(3)
    assert counts["mirrored"] == 3 == len(found.pairs) and found.mirror.state()["restarts"] == 1


def test_closing_drops_what_waits_and_the_books_balance(world: Build) -> None:
    found = world("hang")
    found.offer(*IDS[:20])
    wait_for(lambda: found.mirror.ready)
    found.mirror.close()
    found.offer(*IDS[20:25])
    counts = found.counts()
    assert (counts["chosen"], counts["waiting"], counts["dropped"]) == (25, 0, {"closed": 25})
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("mirror", "candidate"))]


def test_a_pair_that_is_not_kept_is_no_evidence_and_not_counted_as_such(world: Build) -> None:
    def fail(pair: Pair) -> bool:
        raise OSError("disk full")

    for kept, why in ((lambda pair: False, "not_stored"), (fail, "OSError")):
        found = world(kept=kept)
        found.offer(*IDS[:3])
        counts = found.settled(3)
        assert (counts["mirrored"], counts["dropped"]) == (0, {why: 3}) and not found.told


def test_who_listens_and_fails_changes_nothing(world: Build) -> None:
    found = world()
    found.mirror._paired = lambda *given: 1 / 0
    found.offer(*IDS[:3])
    assert found.settled(3)["answered"] == 3


def test_in_staging_the_staged_callers_calls_are_mirrored_too_and_its_failures_there_are_its_errors(
    world: Build,
) -> None:
    found = world(stage=Stage.STAGING, shadow_share=0.0)
    staged = [call_id for call_id in IDS if is_chosen(call_id, KEY, 0.2, "staging")]
    found.offer(*IDS[:100], by="new")
    found.offer(*IDS[100:], by="old", error="timed_out")
    counts = found.settled(400)
    assert counts["chosen"] == len(staged) == counts["mirrored"]
    fallen = [call_hash(f"request of {call_id}", KEY) for call_id in staged if int(call_id[5:]) >= 100]
    assert [pair.call for pair in found.pairs if pair.candidate.error == "timed_out"] == fallen
    assert counts["timed_out"] == len(fallen)
    # The incumbent was asked all the same, as it is in every pair.
    assert all(pair.incumbent.milliseconds is not None for pair in found.pairs)


def test_in_production_a_call_that_the_candidate_failed_is_put_to_the_incumbent(world: Build) -> None:
    found = world(stage=Stage.PRODUCTION)
    found.offer(*IDS[:3], by=None, error="RuntimeError")
    assert found.settled(3)["errors"] == {"RuntimeError": 3}
    assert all(pair.incumbent.error is None for pair in found.pairs)


def test_every_call_after_a_promotion_is_mirrored_until_enough_are_and_then_the_share(world: Build) -> None:
    found = world(stage=Stage.PRODUCTION, shadow_share=0.1, watched=20)
    found.offer(*IDS[:20], by="new")
    assert found.settled(20)["mirrored"] == 20
    found.offer(*IDS[20:], by="new")
    chosen = [call_id for call_id in IDS[20:] if is_chosen(call_id, KEY, 0.1, "shadow")]
    assert found.settled(400)["chosen"] == 20 + len(chosen)
    for stage in (Stage.SHADOW, Stage.STAGING):
        other = world(stage=stage, shadow_share=0.0, watched=20)
        other.offer(*(call_id for call_id in IDS if not is_chosen(call_id, KEY, 0.2, "staging")))
        assert other.counts()["chosen"] == 0


def test_a_shadow_rests_while_callers_keep_their_models_busy_and_nothing_else_does(
    world: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "REST", 1e9)
    monkeypatch.setattr(mirror, "MOST_REST_SECONDS", 600.0)
    busy = world(worked=time.monotonic)
    busy.offer(*IDS[:3])
    wait_for(lambda: busy.counts()["mirrored"] == 1)
    for found in (
        world(),
        world(worked=time.monotonic, stage=Stage.STAGING),
        world(worked=time.monotonic, stage=Stage.PRODUCTION),
        world(worked=time.monotonic, source="replay"),
    ):
        found.offer(*IDS[:3])
        assert found.settled(3)["mirrored"] == 3
    assert busy.counts()["waiting"] == 2
    busy.mirror.close()
    assert busy.counts()["dropped"] == {"closed": 2}


def test_a_probe_asks_the_candidate_alone_and_says_what_happened(world: Build) -> None:
    rows = [{"text": f"probe {number}"} for number in range(3)]
    assert world().mirror.probe(rows, 30) == (True, "it answered 3 of 3 calls")
    assert world().mirror.probe([], 30) == (False, "there is no call to probe it with")
    assert world("raise_error").mirror.probe(rows, 30)[1].startswith("it failed call 1 of 3: RuntimeError at misbeh")
    assert world("leave").mirror.probe(rows, 30) == (False, "it failed call 1 of 3: died")
    assert world("hang").mirror.probe(rows, 1.0) == (False, "it failed call 1 of 3: no answer in 1 s")
    found = world("broken").mirror.probe(rows, 30)
    assert found == (False, "it is not loaded: not_loaded: The files of new are not those registered.")


def test_what_nobody_answers_is_heard_by_both_and_what_neither_takes_is_no_error_of_either(world: Build) -> None:
    found = world()
    found.offer(*IDS[:20], by=None)
    counts = found.settled(20)
    assert counts["answered"] == 20 and len(found.told) == 20
    refused = world(new="refuse", old="refuse")
    refused.offer(*IDS[:5], by=None)
    counts = refused.settled(5)
    assert counts["dropped"] == {"rejected": 5} and refused.pairs == []
    alone = world(new="refuse")
    alone.offer(*IDS[:5], by=None)
    assert alone.settled(5)["errors"] == {"Rejected": 5}, "the incumbent would have answered"
