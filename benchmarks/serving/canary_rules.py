"""What canary tools do with the same pairs: tests of a fixed horizon looked at again and again, and thresholds.

Each rule takes blocks of the streams and says after how many calls each rollout was first called harmful; 0: never.
They are the rules as their documents tell them, on the pairs' difference or on either side; none is the tools' code.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
FIRST_LOOK = 100
DAY = 1000


def first(flags: np.ndarray[Any, np.dtype[np.bool_]], every: int) -> np.ndarray[Any, np.dtype[np.int_]]:
    """Return at which call each rollout was first flagged, of looks (rollouts, looks) taken `every` calls; 0: never."""
    return np.where(flags.any(axis=1), (flags.argmax(axis=1) + 1) * every, 0)


def z_test(differences: Floats, every: int, confidence: float = 1.645) -> np.ndarray[Any, np.dtype[np.int_]]:
    """A one-sided z-test of the mean of (rollouts, calls) over 0, at 5 %, looked at every so many calls."""
    looks = np.arange(every, differences.shape[1] + 1, every)
    sums, squares = (np.cumsum(each, axis=1)[:, looks - 1] for each in (differences, differences**2))
    means = sums / looks
    spread = np.sqrt(np.maximum(squares / looks - means**2, 1e-12) / looks)
    return first((means > confidence * spread) & (looks >= FIRST_LOOK), every)


def mann_whitney(incumbent: Floats, candidate: Floats, points: int = 50) -> np.ndarray[Any, np.dtype[np.int_]]:
    """Kayenta's classifier, each day anew on 50 points a side, which are means of a fiftieth of the day's calls.

    "High" is where the 98 % interval of the Hodges-Lehmann shift (normal approximation) lies over a quarter of it.
    """
    rollouts, calls = incumbent.shape
    flags = np.empty((rollouts, calls // DAY), bool)
    # The place of the interval's lower end among all differences of two points, in order.
    place = int(points**2 / 2 - 2.326 * np.sqrt(points**2 * (2 * points + 1) / 12))
    for day in range(calls // DAY):
        sides = [
            side[:, day * DAY : (day + 1) * DAY].reshape(rollouts, points, -1).mean(axis=2)
            for side in (incumbent, candidate)
        ]
        shifts = np.sort((sides[1][:, :, None] - sides[0][:, None, :]).reshape(rollouts, -1), axis=1)
        flags[:, day] = (shifts[:, place] > 0.25 * np.median(shifts, axis=1)) & (shifts[:, place] > 0)
    return first(flags, DAY)


def failed_checks(failed: Floats, *, interval: int = 100, most: float = 0.01, threshold: int = 5) -> Any:
    """Flagger's analysis: an interval with over 1 % of failed requests is a failed check; the fifth takes it back.

    The success rate of the candidate alone counts; it is compared with nothing.
    """
    rates = failed.reshape(failed.shape[0], -1, interval).mean(axis=2)
    return first(np.cumsum(rates > most, axis=1) >= threshold, interval)
