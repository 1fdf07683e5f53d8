"""The gateway: a share of calls chosen by their ids, and a candidate that can do callers no harm."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from data_foundry.serving.gateway import Answer, Gateway, MirroredCall, is_mirrored

IDS = [f"call-{number}" for number in range(10_000)]
KEY = b"the operator's key"


@dataclass(frozen=True)
class Said:
    output: Any
    confidence: float | None = 0.9


class Model:
    """A predictor that answers with the row's text and the adapter's name, or does what `act` says."""

    def __init__(self, act: Callable[[Mapping[str, Any]], Any] | None = None) -> None:
        self.act = act
        self.asked: list[tuple[str, str | None]] = []
        self.inside = 0

    def predict(self, rows: Sequence[Mapping[str, Any]], adapter: str | None = None) -> Any:
        self.inside += 1
        assert self.inside == 1, "two threads in one model"
        try:
            self.asked.append((rows[0]["text"], adapter))
            if self.act is not None:
                return self.act(rows[0])
            return [Said(f"{rows[0]['text']} by {adapter}")]
        finally:
            self.inside -= 1


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An event for which a hanging candidate waits; set when the test is over, so that its thread ends."""
    event = threading.Event()
    yield event
    event.set()


def gateway(candidate: Model | None, share: float = 1.0, **options: Any) -> Gateway:
    return Gateway(
        options.pop("incumbent", Model()),
        candidate="new" if candidate else None,
        shadow_predictor=candidate,
        shadow_share=share,
        key=KEY,
        **options,
    )


def outputs(answers: Sequence[Answer]) -> list[Any]:
    return [answer.output for answer in answers]


def call_all(served: Gateway, ids: Sequence[str]) -> list[Answer]:
    return [served.answer(call_id, {"text": call_id}) for call_id in ids]


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_the_mirrored_share_of_ten_thousand_ids_is_close_to_what_was_asked(share: float) -> None:
    chosen = sum(is_mirrored(call_id, KEY, share) for call_id in IDS)
    four_sigma = 4 * (share * (1 - share) * len(IDS)) ** 0.5
    assert abs(chosen - share * len(IDS)) < four_sigma


def test_the_split_depends_on_the_call_id_and_the_key_alone() -> None:
    chosen = [is_mirrored(call_id, KEY, 0.1) for call_id in IDS]
    assert chosen == [is_mirrored(call_id, KEY, 0.1) for call_id in IDS]
    other = [is_mirrored(call_id, b"another key", 0.1) for call_id in IDS]
    both = sum(a and b for a, b in zip(chosen, other, strict=True))
    assert 50 < both < 160  # 100 expected of two unrelated tenths
    # Computed once and written down: a gateway of next year must choose the same calls.
    assert [call_id for call_id in IDS[:40] if is_mirrored(call_id, KEY, 0.1)] == [
        "call-2", "call-3", "call-8", "call-28", "call-37"
    ]  # fmt: skip


def test_a_greater_share_keeps_the_calls_of_a_smaller_one() -> None:
    small = {call_id for call_id in IDS if is_mirrored(call_id, KEY, 0.1)}
    assert small < {call_id for call_id in IDS if is_mirrored(call_id, KEY, 0.2)}


def test_share_none_mirrors_nothing_and_share_all_everything() -> None:
    assert not any(is_mirrored(call_id, KEY, 0.0) for call_id in IDS)
    assert all(is_mirrored(call_id, KEY, 1.0) for call_id in IDS)


def test_callers_get_the_incumbent_and_the_chosen_tenth_is_heard_by_the_candidate_too() -> None:
    candidate, pairs = Model(), []
    with gateway(candidate, share=0.1, queue_size=1000, observe=pairs.append) as served:
        answers = call_all(served, IDS[:500])
        assert served.drain(10)
    assert outputs(answers) == [f"{call_id} by None" for call_id in IDS[:500]]
    chosen = [call_id for call_id in IDS[:500] if is_mirrored(call_id, KEY, 0.1)]
    assert [text for text, _ in candidate.asked] == chosen
    assert {adapter for _, adapter in candidate.asked} == {"new"}
    assert [answer.call_id for answer in answers if answer.mirrored] == chosen
    assert (served.counts.calls, served.counts.chosen, served.counts.answered) == (500, len(chosen), len(chosen))
    assert [pair.candidate.output for pair in pairs] == [f"{call_id} by new" for call_id in chosen]
    assert all(pair.incumbent.milliseconds >= 0 and pair.candidate.milliseconds >= 0 for pair in pairs)


def test_the_incumbent_may_be_an_adapter_and_is_never_asked_as_the_candidate() -> None:
    incumbent = Model()
    with gateway(Model(), incumbent=incumbent) as _:
        pass
    served = Gateway(incumbent, incumbent="old", candidate="new", shadow_predictor=Model(), shadow_share=1.0, key=KEY)
    with served:
        answers = call_all(served, IDS[:20])
    assert {answer.version for answer in answers} == {"old"} == {adapter for _, adapter in incumbent.asked}


def test_a_candidate_may_not_share_the_predictor_that_answers_callers() -> None:
    model = Model()
    with pytest.raises(ValueError, match="predictor of its own"):
        Gateway(model, candidate="new", shadow_predictor=model)
    with pytest.raises(ValueError, match="predictor of its own"):
        Gateway(model, candidate="new")


def test_without_a_candidate_nothing_is_mirrored() -> None:
    with gateway(None) as served:
        answers = call_all(served, IDS[:50])
    assert not any(answer.mirrored for answer in answers) and served.counts.chosen == 0


def raise_error(error: BaseException) -> Callable[[Any], Any]:
    def act(_: Any) -> Any:
        raise error

    return act


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (raise_error(RuntimeError("CUDA error")), "RuntimeError"),
        (raise_error(MemoryError()), "MemoryError"),
        (raise_error(SystemExit(3)), "SystemExit"),
        (raise_error(KeyboardInterrupt()), "KeyboardInterrupt"),
        (lambda row: None, "InvalidAnswer"),
        (lambda row: [], "InvalidAnswer"),
        (lambda row: [Said("one"), Said("two")], "InvalidAnswer"),
        (lambda row: [Said(None)], "InvalidAnswer"),
        (lambda row: [Said(b"\x00\xff")], "InvalidAnswer"),
        (lambda row: [Said("text", float("nan"))], "InvalidAnswer"),
        (lambda row: [Said("text", 17.0)], "InvalidAnswer"),
        (lambda row: ["not a prediction"], "AttributeError"),
        (lambda row: row.clear(), "InvalidAnswer"),
    ],
)
def test_a_crashing_or_garbage_candidate_is_counted_and_changes_nothing_for_the_caller(act: Any, error: str) -> None:
    with gateway(None) as alone:
        expected = call_all(alone, IDS[:30])
    pairs: list[MirroredCall] = []
    with gateway(Model(act), observe=pairs.append) as served:
        rows = [{"text": call_id} for call_id in IDS[:30]]
        answers = [served.answer(row["text"], row) for row in rows]
        assert served.drain(10)
    assert outputs(answers) == outputs(expected)
    assert [row["text"] for row in rows] == IDS[:30]
    assert served.counts.errors == {error: 30} and served.counts.answered == 0
    assert {(pair.candidate, pair.error) for pair in pairs} == {(None, error)}
    assert 1 <= len(served.counts.examples) <= 3 and served.counts.examples[0].startswith(error)


def test_a_hanging_candidate_is_timed_out_once_and_never_holds_up_a_caller(never: threading.Event) -> None:
    candidate = Model(lambda row: never.wait() and [Said("too late")])
    with gateway(candidate, timeout_seconds=1.0, queue_size=5) as served:
        started = time.perf_counter()
        answers = call_all(served, IDS[:300])
        seconds = time.perf_counter() - started
        assert served.drain(5)
        counts = served.counts
    assert outputs(answers) == [f"{call_id} by None" for call_id in IDS[:300]]
    assert seconds < 1.0, "300 instant answers took longer than one time-out"
    assert (counts.timed_out, counts.answered, counts.mirrored) == (1, 0, 1)
    assert counts.chosen == 300 == counts.mirrored + counts.dropped.total()
    assert counts.dropped["candidate_overdue"] in (4, 5) and counts.dropped["queue_full"] in (294, 295)
    assert len(candidate.asked) == 1


def test_a_candidate_that_was_late_once_is_heard_again_and_its_late_answer_is_thrown_away() -> None:
    slow = threading.Event()
    candidate = Model(lambda row: [Said("slow" if row["text"] == "first" and not slow.wait(1) else "quick")])
    pairs: list[MirroredCall] = []
    with gateway(candidate, timeout_seconds=0.1, observe=pairs.append) as served:
        served.answer("first", {"text": "first"})
        assert served.drain(5) and served.counts.timed_out == 1
        slow.set()
        time.sleep(0.2)
        served.answer("second", {"text": "second"})
        assert served.drain(5)
    assert [(pair.call_id, pair.error) for pair in pairs] == [("first", "timed_out"), ("second", None)]
    assert (served.counts.timed_out, served.counts.answered) == (1, 1)


def test_overload_drops_shadow_work_and_counts_it(never: threading.Event) -> None:
    busy = threading.Event()

    def wait(row: Mapping[str, Any]) -> Any:
        busy.set()
        never.wait(10)
        return [Said("done")]

    with gateway(Model(wait), timeout_seconds=20, queue_size=4) as served:
        call_all(served, IDS[:1])
        assert busy.wait(5)
        call_all(served, IDS[1:101])
        assert served.counts.dropped == {"queue_full": 96}
        never.set()
        assert served.drain(5)
    assert (served.counts.calls, served.counts.chosen, served.counts.answered) == (101, 101, 5)
    assert served.counts.waiting == 0


def test_closing_drops_what_is_queued_and_the_books_balance(never: threading.Event) -> None:
    served = gateway(Model(lambda row: never.wait(0.2) or [Said("done")]), timeout_seconds=1, queue_size=50)
    call_all(served, IDS[:20])
    served.close()
    call_all(served, IDS[20:25])
    counts = served.counts
    assert counts.dropped["closed"] >= 5 + 15
    assert counts.waiting == 0 and counts.chosen == 25 == counts.mirrored + counts.dropped.total()


def test_an_observer_that_fails_changes_no_count_and_no_answer() -> None:
    def observe(pair: MirroredCall) -> None:
        raise OSError("disk full")

    with gateway(Model(), observe=observe) as served:
        assert len(call_all(served, IDS[:10])) == 10
        assert served.drain(5)
    assert served.counts.answered == 10 and served.counts.examples == ["observer: OSError: disk full"]


def test_callers_at_once_enter_the_incumbent_one_by_one_and_get_their_own_answers() -> None:
    incumbent = Model(lambda row: time.sleep(0.0005) or [Said(row["text"])])
    with gateway(Model(), incumbent=incumbent, queue_size=1000) as served:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda call_id: served.answer(call_id, {"text": call_id}), IDS[:200]))
        assert served.drain(5)
    assert outputs(answers) == IDS[:200]
    assert served.counts.calls == 200 and served.counts.answered == 200


def test_what_the_incumbent_raises_reaches_the_caller_and_is_not_mirrored() -> None:
    with gateway(Model(), incumbent=Model(raise_error(RuntimeError("no audio")))) as served:
        with pytest.raises(RuntimeError, match="no audio"):
            served.answer("call", {"text": "call"})
        assert served.counts.chosen == 0
