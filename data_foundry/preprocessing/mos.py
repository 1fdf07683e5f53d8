"""The opinion that listeners would have of a clip, as DNSMOS predicts it: the extra `mos`."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_foundry.errors import FoundryError
from data_foundry.records import SAMPLE_RATE

if TYPE_CHECKING:
    from data_foundry.preprocessing.audio import Samples

_WINDOW = int(9.01 * SAMPLE_RATE)
_HOP = SAMPLE_RATE
_OVERALL = (-0.06766283, 1.11546468, 0.04602535)
"""The model's third output to the overall score: a x**2 + b x + c, as published with the model."""


def overall(samples: Samples) -> float | None:
    """Return the overall score of DNSMOS P.835 (Reddy, Gopal and Cutler, ICASSP 2022), 1 to 5; None for no samples.

    The mean over windows of 9.01 s, one each second; a shorter clip is repeated until it fills one. The model is the
    one in the package speechmos (MIT licence, 1.2 MB of its 9 MB wheel), run by onnxruntime on one thread. It judges
    how a clip sounds in general, not how well its Malayalam is spoken. Raises FoundryError where a package is missing.
    """
    if not len(samples):
        return None
    filled = np.resize(samples, max(len(samples), _WINDOW)).clip(-1, 1)
    windows = np.lib.stride_tricks.sliding_window_view(filled, _WINDOW)[::_HOP]
    session = _session()
    name = session.get_inputs()[0].name
    raw = np.array([session.run(None, {name: np.ascontiguousarray(window[None])})[0][0, 2] for window in windows])
    return float(np.polyval(_OVERALL, raw.astype(np.float64)).mean())


@cache
def _session() -> Any:
    missing = [name for name in ("onnxruntime", "speechmos") if find_spec(name) is None]
    if missing:
        raise FoundryError(
            f"audio.mos is true, and {' and '.join(missing)} can't be imported.",
            "pip install -e '.[mos]' in the project's root, or set audio.mos to false.",
        )
    import onnxruntime

    # The package itself would import librosa; only the model in it is needed.
    locations = find_spec("speechmos").submodule_search_locations  # type: ignore[union-attr]
    model = Path(next(iter(locations or [])), "dnsmos_models", "sig_bak_ovr.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
