"""What became of the calls that a candidate was to hear is summed up over gateways, whatever one leaves out."""

from data_foundry.serving.watch.mirrors import MIRRORED, mirrors_of

KIND = {"MemoryError": 2}


def state(**counts):
    mirror = {"trial": "t", "candidate": "v2", "stage": "shadow", **dict.fromkeys(MIRRORED, 1), **counts}
    return {"trials": [mirror]}


def test_a_gateway_that_tells_no_errors_hides_none_of_anothers_in_whichever_order_they_come():
    for states in ([state(errors=KIND), state(errors=None)], [state(errors=None), state(errors=KIND)]):
        (found,) = mirrors_of(states)
        assert found["errors"] == KIND and found["chosen"] == 2


def test_errors_of_one_kind_add_up():
    (found,) = mirrors_of([state(errors=KIND), state(errors={**KIND, "ValueError": 1})])
    assert found["errors"] == {"MemoryError": 4, "ValueError": 1}
