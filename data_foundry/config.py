"""Settings of a run: defaults < config file < environment < flags; unknown keys refused, every mistake shown at once.

Secrets are not settings: tokens are read from the environment where they are used and stand in no file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ByteSize, Field, ValidationError, model_validator

from data_foundry.adapter_name import AdapterName, engine_of
from data_foundry.errors import FoundryError
from data_foundry.mistakes import in_words
from data_foundry.records import AIEngine
from data_foundry.section import Section, Share
from data_foundry.serving_settings import Rollout, Serving
from data_foundry.telephony_settings import Telephony
from data_foundry.training_config import Training

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_CONFIG = PROJECT_ROOT / "config" / "data_foundry_config.json"
ENVIRONMENT_PREFIX = "DATA_FOUNDRY_"


class Storage(Section):
    """Where and how the lake keeps its files.

    `type` "local": one machine's disk, locked by the operating system. "shared": a network file system that several
    machines mount, locked by a lease file with a heartbeat, and every published file is read back and hashed.
    `backup_enabled` keeps a second, hashed copy of what cannot be derived again (raw data, registered adapters)
    under `backup_path` (default: `backup/` under the base path).
    """

    type: Literal["local", "shared"] = "local"
    backup_enabled: bool = False
    backup_path: Path | None = None


class Hub(Section):
    """Where datasets and base models come from: the Hub (None, or HF_ENDPOINT), or a folder laid out like it.

    One request is tried again at most `retries` times, and all requests of a run by all its workers together
    `retry_budget` times. A transfer that brings nothing for `stall_seconds` is cut and tried again. `xet` false keeps
    to plain HTTP. The two limits choose whole files of a dataset, in an order that depends on its commit alone; None
    takes everything. Bytes are a number, or text with a unit: "500MB" (decimal), "1.5GiB" (binary).
    """

    source: Path | None = None
    max_parallel_downloads: Annotated[int, Field(ge=1, le=32)] = 4
    retries: Annotated[int, Field(ge=0, le=20)] = 5
    retry_budget: Annotated[int, Field(ge=0)] = 200
    stall_seconds: Annotated[float, Field(gt=0)] = 30.0
    xet: bool = True
    max_bytes_per_dataset: Annotated[ByteSize, Field(ge=1)] | None = None
    max_rows_per_dataset: Annotated[int, Field(ge=1)] | None = None


class Licensing(Section):
    """`commercial_use` true keeps non-commercial and unknown licences out of gold."""

    commercial_use: bool = True


class AudioGates(Section):
    """Limits of a usable clip; durations in seconds, levels in dBov, speaking rates in aksharas a second of speech.

    A clip outside of `min_seconds` to `max_aksharas_per_second` is rejected; `min_snr_db` None rejects none for its
    noise. A clip with a bandwidth up to `narrowband_hz`, or a rate outside `usual_aksharas_per_second`, is kept and
    flagged. `mos` true has a model predict the opinion of listeners (preprocessing/mos.py). benchmarks/quality says
    what share of real speech each default rejects.
    """

    max_segment_seconds: Annotated[float, Field(gt=0)] = 30.0
    max_source_seconds: Annotated[float, Field(gt=0)] = 7200.0
    min_seconds: Annotated[float, Field(ge=0)] = 0.3
    min_rms_dbfs: float = -60.0
    max_clipping_share: Share = 0.05
    min_snr_db: float | None = None
    min_aksharas_per_second: Annotated[float, Field(ge=0)] = 0.5
    max_aksharas_per_second: Annotated[float, Field(gt=0)] = 16.0
    narrowband_hz: Annotated[float, Field(ge=0)] = 4250.0
    usual_aksharas_per_second: tuple[float, float] = (3.5, 12.0)
    mos: bool = False


class TextGates(Section):
    """`min_malayalam_ratio`: share of Malayalam letters and marks among all letters and marks of an utterance."""

    profile: Literal["encoding", "modern"] = "modern"
    min_malayalam_ratio: Share = 0.70


class Duplicates(Section):
    """What becomes of a row that repeats an earlier one of its dataset: kept and flagged, or dropped with its reason.

    `text`: kept by default, for many speakers read the same prompt and many callers say the same; rows with equal
    texts never stand in two splits. `audio`: the same samples with the same text teach nothing twice and are dropped.
    """

    text: Literal["keep", "drop"] = "keep"
    audio: Literal["keep", "drop"] = "drop"


ContentRuleName = Literal[
    "mobile_number", "landline", "aadhaar", "card", "bank_account", "pan", "ifsc", "vehicle", "email", "upi_id",
    "spelled_number", "abuse", "insult", "abuse_list", "abuse_homograph", "impolite_second_person", "bare_imperative",
    "mixed_address",
]  # fmt: skip


class ContentChecks(Section):
    """What follows from a content flag: personal data masked, and rows refused for the rules in `exclude`.

    `abuse_list`: a UTF-8 file of words and phrases, one a line, besides the project's own short list; its licence must
    be named, and `abuse_allow` are entries of it that are innocent here. `public_numbers`: telephone numbers that may
    stand, such as the line's own, as dialled in the country.
    """

    mask_personal_data: bool = True
    exclude: tuple[ContentRuleName, ...] = ()
    abuse_list: Path | None = None
    abuse_list_licence: str | None = None
    abuse_allow: tuple[str, ...] = ()
    public_numbers: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _licence_is_named(self) -> ContentChecks:
        if self.abuse_list is not None and not self.abuse_list_licence:
            raise ValueError("abuse_list_licence must name the licence under which abuse_list may be used")
        return self


class Routing(Section):
    """What becomes of a dataset of which its declared engine can use no row, or fewer than half.

    "reroute": its rows serve the engines that can use them, and the report says so. "fail": the declared engine's step
    fails and publishes nothing, not even of its other datasets, and no other engine takes the dataset's rows; those
    go on without it. Gold that was there stays. Either is known only when the rows were read.
    """

    on_mismatch: Literal["reroute", "fail"] = "reroute"


class Splits(Section):
    """Shares of groups (speakers, texts) that go to validation and test where a dataset publishes no split.

    `remember`: rows of gold that was made with the same shares and seed stay on their side when others arrive.
    """

    validation: Share = 0.1
    test: Share = 0.15
    seed: int = 0
    remember: bool = True


class Gates(Section):
    """`min_score`: what an engine's primary score (0..1, see the report) must reach before it may hear a call."""

    min_score: Share = 0.85


class Deployment(Section):
    """`shadow_share` of calls is mirrored to a candidate; `rollback_enabled` lets harm take a candidate back.

    `shadow_testing` false leaves a new version at stage none, mirrors nothing to what is in shadow, promotes nothing;
    what answers callers, in staging and production, goes on being compared and taken back. A candidate that needs
    longer than `shadow_timeout_seconds` for a call has failed it; `shadow_queue_size` calls may wait for it; from then
    on calls are dropped until none waits and as many more have passed. Where fewer wait than eight times
    `serving.max_batch`, calls that end apart from the others of their batch, as those that fail do, are heard too
    often. `max_replay_calls`: how many held-out rows at most are replayed as calls when an adapter enters shadow.
    """

    shadow_testing: bool = True
    shadow_share: Share = 0.10
    rollback_enabled: bool = True
    shadow_timeout_seconds: Annotated[float, Field(gt=0)] = 30.0
    shadow_queue_size: Annotated[int, Field(ge=1)] = 64
    max_replay_calls: Annotated[int, Field(ge=1)] = 1000


# A section's defaults, filled in by the validator of all settings instead of by building one for each section.
_DEFAULTS: Any = Field(default={}, validate_default=True)


class Settings(Section):
    """Everything a run depends on, resolved.

    `workers` is the number of processes that run steps; 0 runs them in the phase's own process, for a debugger.
    `engines` may name variants too ("stt.malabar"); an engine's name stands for its variants.
    """

    base_path: Path = PROJECT_ROOT
    profile: str | None = None
    workers: Annotated[int, Field(ge=0, le=256)] = 2
    datasets: tuple[str, ...] = ()
    engines: tuple[AdapterName, ...] = ()
    storage: Storage = _DEFAULTS
    hub: Hub = _DEFAULTS
    licensing: Licensing = _DEFAULTS
    audio: AudioGates = _DEFAULTS
    text: TextGates = _DEFAULTS
    content: ContentChecks = _DEFAULTS
    duplicates: Duplicates = _DEFAULTS
    routing: Routing = _DEFAULTS
    splits: Splits = _DEFAULTS
    telephony: Telephony = _DEFAULTS
    training: Training = _DEFAULTS
    gates: Gates = _DEFAULTS
    deployment: Deployment = _DEFAULTS
    serving: Serving = _DEFAULTS
    rollout: Rollout = _DEFAULTS

    @property
    def gold_engines(self) -> tuple[AIEngine, ...]:
        """The engines that what is selected is trained on the gold of, in the order of AIEngine; all by default."""
        wished = {engine_of(name) for name in self.engines} or set(AIEngine)
        return tuple(engine for engine in AIEngine if engine in wished)


def load_settings(
    config: Path | None = None,
    profile: str | None = None,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings of a run.

    `config` replaces the default file; `profile` NAME (or DATA_FOUNDRY_PROFILE) lays config/NAME.json over it. `flags`
    are nested like `Settings` and None means not given. Relative paths in a file mean: relative to the project's root.
    Raises FoundryError naming every mistake and where it came from.
    """
    environ = os.environ if environ is None else environ
    if profile is None:
        profile = environ.get(f"{ENVIRONMENT_PREFIX}PROFILE") or None
    if profile == "":
        raise FoundryError("The profile has no name.", f"Profiles and files in config/: {_known_files()}.")
    config_given = config is not None
    files = [config or DEFAULT_CONFIG]
    if profile:
        files.append(PROJECT_ROOT / "config" / f"{profile}.json")
    layers: list[tuple[str, dict[str, Any]]] = []
    for file in files:
        if not config_given and file == DEFAULT_CONFIG and not file.exists():
            continue
        layers.append((str(file), _read_json(file)))
    layers.append(("the environment", _from_environment(environ)))
    layers.append(("the flags", {**_without_none(flags or {}), **({"profile": profile} if profile else {})}))
    merged: dict[str, Any] = {}
    for _, layer in layers:
        _merge(merged, layer)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise FoundryError(_explain(error, layers), "Keys and their meanings: data_foundry/config.py.") from None
    if settings.profile != profile:
        raise FoundryError(f"A config file names the profile {settings.profile!r}.", "Choose it with --profile.")
    source = _absolute(settings.hub.source)
    if source is not None and not source.is_dir():
        raise FoundryError(f"hub.source {source} is not a folder.", "Name a folder with datasets/<owner>/<name> in it.")
    return settings.model_copy(
        update={
            "base_path": _absolute(settings.base_path),
            "hub": settings.hub.model_copy(update={"source": source}),
            "storage": settings.storage.model_copy(update={"backup_path": _absolute(settings.storage.backup_path)}),
            "content": settings.content.model_copy(update={"abuse_list": _absolute(settings.content.abuse_list)}),
            "training": _absolute_controls(settings.training),
        }
    )


def _absolute_controls(training: Training) -> Training:
    def absolute(overrides: Any) -> Any:
        control = overrides.control and str(_absolute(Path(overrides.control)))
        return overrides.model_copy(update={"control": control}) if control else overrides

    own = {kind: {name: absolute(o) for name, o in getattr(training, kind).items()} for kind in ("engines", "variants")}
    return training.model_copy(update=own)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else (PROJECT_ROOT / path.expanduser()).resolve()


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FoundryError(f"No config file at {file}.", f"Profiles and files in config/: {_known_files()}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FoundryError(f"{file} can't be read: {error}.", "Give a readable JSON file in UTF-8.") from None
    except json.JSONDecodeError as error:
        raise FoundryError(f"{file} is not JSON: {error}.", "Mend the line that the message names.") from None
    if not isinstance(content, dict):
        raise FoundryError(f"{file} holds a {type(content).__name__}, not an object.", "Write { ... } with sections.")
    return content


def _known_files() -> str:
    return ", ".join(sorted(path.stem for path in (PROJECT_ROOT / "config").glob("*.json"))) or "none"


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """DATA_FOUNDRY_BASE_PATH, and DATA_FOUNDRY_<SECTION>__<KEY> for a key in a section."""
    found: dict[str, Any] = {}
    # A section as a whole comes after its keys, so that a value which is no section is seen and refused.
    for name, value in sorted(environ.items(), reverse=True):
        if not name.startswith(ENVIRONMENT_PREFIX) or not value:
            continue
        nested: Any = _decoded(value)
        for key in reversed(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")):
            nested = {key: nested}
        _merge(found, nested)
    return found


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    nested = {key: _without_none(value) if isinstance(value, Mapping) else value for key, value in values.items()}
    return {key: value for key, value in nested.items() if value is not None and value != {}}


def _merge(target: dict[str, Any], layer: Mapping[str, Any]) -> None:
    for key, value in layer.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = dict(value) if isinstance(value, Mapping) else value


def _explain(error: ValidationError, layers: list[tuple[str, dict[str, Any]]]) -> str:
    lines = []
    for mistake in error.errors():
        keys = [str(part) for part in mistake["loc"]]
        source = next((name for name, layer in reversed(layers) if _holds(layer, keys)), "the settings")
        if mistake["type"] == "extra_forbidden":
            # Its value stays unsaid: it may be a token that someone put where no secret belongs.
            lines.append(f"  {'.'.join(keys)} in {source}: {in_words(mistake)}")
        else:
            value = json.dumps(mistake["input"], default=str)
            lines.append(f"  {'.'.join(keys)} = {value} in {source}: {in_words(mistake)}")
    count = f"{len(lines)} mistake" + ("s" if len(lines) > 1 else "")
    return "\n".join([f"{count} in the configuration:", *lines])


def _holds(layer: Any, keys: list[str]) -> bool:
    for key in keys:
        if not isinstance(layer, Mapping):
            return True
        if key not in layer:
            return False
        layer = layer[key]
    return True
