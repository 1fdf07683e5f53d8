"""The health of the deployments as lines for a terminal, none wider than asked for but commands to paste."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from data_foundry.figures import counted, readable_size

Line = str
_UNKNOWN = "-"
_HEADS = ("adapter", "stage", "answers", "calls", "failed", "p50 ms", "p95 ms", "p99 ms", "agree", "drift")
_LEFT = 3
"""So many columns of names, which stand at the left; figures stand at the right."""


def overview(
    told: Mapping[str, Any], standing: Sequence[Mapping[str, Any]], layers: Mapping[str, Sequence[Mapping[str, Any]]],
    width: int,
) -> Iterator[Line]:  # fmt: skip
    """Yield the whole: gateways, one line an adapter, what is tried, what waits for a person, the lake."""
    yield from _wrapped(_gateways(told), width, "gateway ")
    for off in _switched_off(told["deployment"]):
        yield from _wrapped(off, width, "        ")
    for error in told["errors"]:
        yield from _wrapped(str(error), width, "error ")
    replayed = {entry["engine"]: entry for entry in standing}
    shown = [entry for entry in told["adapters"] if entry["versions"] or _heard(entry["traffic"]["day"])]
    idle = [entry["adapter"] for entry in told["adapters"] if entry not in shown]
    if shown:
        yield "\nadapters, calls of the last hour"
        yield from _columns(*_table(shown), width)
    for entry in shown:
        yield from _taken_back(entry, width)
    yield from _error_answers(told, width, "  requests answered with an error: ")
    if idle:
        yield from _wrapped(", ".join(idle), width, "  nothing registered: ")
    trials = [(entry, trial) for entry in shown for trial in entry["trials"]]
    if trials:
        yield "\ntrials"
        for entry, trial in trials:
            yield from _trial(entry, trial, width)
    if told["waiting"]:
        yield "\nwaits for a person"
        for each in told["waiting"]:
            why = textwrap.shorten(each["why"], 3 * width, placeholder=" ...")
            yield from _wrapped(why, width, f"  {each['name']}: ", hang=4)
            # Not wrapped: they are for pasting.
            yield from (f"    {command}" for command in each["commands"])
    heard = [line for entry in shown for line in _replay(replayed[entry["adapter"]], width)]
    if heard:
        yield "\nlast replay of phase 4"
        yield from heard
    yield "\nlake"
    for layer, entries in layers.items():
        yield from _wrapped(_layer(entries), width, f"  {layer:<7}")
    yield "\n--engines NAME tells all of an adapter, --json everything."


def adapter_text(
    entry: Mapping[str, Any], measured: Mapping[str, Any], told: Mapping[str, Any], width: int
) -> Iterator[Line]:
    """Yield everything about one adapter."""
    yield f"{entry['adapter']}: {entry['title'] or 'no longer in the settings'}"
    yield from _wrapped(_gateways(told), width, "  gateway ")
    for off in _switched_off(told["deployment"]):
        yield from _wrapped(off, width, "          ")
    for name in ("not_served", "error"):
        if entry[name]:
            yield from _wrapped(entry[name], width, f"  {name.replace('_', ' ')}: ")
    for error in told["errors"]:
        yield from _wrapped(str(error), width, "  error ")
    yield "\n  callers"
    yield from _taken_back(entry, width)
    for share in entry["shares"]:
        yield f"    {share['version']:<14} {share['role']:<11} {_share(share)}"
    yield "\n  calls"
    heads = ("", "calls", "answered", "failed", "refused", "p50 ms", "p95 ms", "p99 ms")
    spans = [("last hour", entry["traffic"]["hour"]), ("last day", entry["traffic"]["day"])]
    spans += [(f"hour, {version}", figures) for version, figures in entry["traffic"]["versions"].items()]
    if entry["traffic"]["replayed"]:
        spans.append(("replayed", entry["traffic"]["replayed"]))
    yield from _columns(heads, [_span(name, figures) for name, figures in spans], width, left=1, indent=4)
    if entry["traffic"]["hour"]["failures"]:
        yield from _wrapped(_counts(entry["traffic"]["hour"]["failures"]), width, "    not answered, last hour: ")
    yield from _error_answers(told, width, "    requests answered with an error, of all adapters: ")
    for mirror in entry["mirrors"]:
        yield from _mirror(mirror, width)
    if entry["trials"]:
        yield "\n  trials"
        for trial in entry["trials"]:
            yield from _trial(entry, trial, width, every=True)
    yield from _drift(entry["drift"], width)
    yield "\n  versions" if entry["versions"] else "\n  versions: none"
    for version in entry["versions"]:
        score = "" if version["score"] is None else f", score {version['score']:.3f}"
        head = f"    {version['version']} {version['stage']} since {version['since']}{score}: "
        yield from _wrapped(version["reason"], width, head, hang=8)
    replay = list(_replay(measured, width))
    if replay:
        yield "\n  last replay of phase 4"
        yield from replay


def _error_answers(told: Mapping[str, Any], width: int, head: str) -> Iterator[Line]:
    """Yield what was answered with an error in the last hour, by code; which adapter was meant is not counted."""
    if errors := told["error_answers"]["hour"]:
        yield from _wrapped(_counts(errors), width, head)


def _heard(span: Mapping[str, Any]) -> int:
    """Return how many calls came, those refused at the door too."""
    calls: int = span["calls"] + span["refused"]
    return calls


def _share(share: Mapping[str, Any]) -> str:
    """Return what the settings give a version to answer, and what it did."""
    if share["role"] == "shadow":
        return f"hears {_percent(share['hears'])}"
    if not share["share"]:
        return f"hears {_percent(share['hears'])}, answers nobody" if share["role"] == "staging" else "answers nobody"
    return f"asked {_percent(share['share'])}, answered {share['answered']:,} of {counted(share['calls'], 'call')}"


def _table(shown: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the heads and a row an adapter; what was refused has a column where anything was."""
    rows = [_row(entry) for entry in shown]
    refused = [entry["traffic"]["hour"]["refused"] for entry in shown]
    if not any(refused):
        return _HEADS, rows
    at = _HEADS.index("failed") + 1
    told = [(*row[:at], f"{count:,}", *row[at:]) for row, count in zip(rows, refused, strict=True)]
    return (*_HEADS[:at], "refused", *_HEADS[at:]), told


def _row(entry: Mapping[str, Any]) -> tuple[str, ...]:
    hour = entry["traffic"]["hour"]
    trial = next(iter(entry["trials"]), None)
    agree = None if trial is None or trial["disagreement"] is None else 1 - trial["disagreement"]
    named = entry["adapter"], entry["stage"], entry["answering"] or "nobody"
    failed = _percent(hour["error_rate"], 1)
    agreed = _percent(agree)
    drift = {"not_judged": _UNKNOWN}.get(entry["drift"]["verdict"], entry["drift"]["verdict"])
    return (*named, f"{hour['calls']:,}", failed, *_percentiles(hour), agreed, drift)


def _span(name: str, figures: Mapping[str, Any]) -> tuple[str, ...]:
    counts = f"{figures['calls']:,}", _percent(figures["success_rate"], 2), _percent(figures["error_rate"], 2)
    return (name, *counts, f"{figures['refused']:,}", *_percentiles(figures))


def _percentiles(figures: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(_bounds(figures["milliseconds"][name]) for name in ("p50", "p95", "p99"))


def _bounds(bounds: Mapping[str, float | None] | None) -> str:
    if bounds is None:
        return _UNKNOWN
    above, at_most = bounds["above"], bounds["at_most"]
    return f"over {_number(above)}" if at_most is None else f"{_number(above)}-{_number(at_most)}"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {count:,}" for what, count in counts.items())


def _number(value: float | None) -> str:
    value = value or 0.0
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


def _percent(share: float | None, digits: int = 0) -> str:
    return _UNKNOWN if share is None else f"{100 * share:.{digits}f} %"


def _gateways(told: Mapping[str, Any]) -> str:
    running = [gateway for gateway in told["gateways"] if gateway["running"]]
    if running:
        places = [f" at {gateway['address']}" if gateway["address"] else "" for gateway in running]
        named = ", ".join(f"{g['host']} (process {g['pid']}){at}" for g, at in zip(running, places, strict=True))
        lacking = [f"; {reason}" for gateway in running for reason in gateway["missing"]]
        faults = [gateway["watch"].get("tallies_fault") for gateway in running]
        unwritten = [f"; counts are not written: {fault}" for fault in faults if fault]
        return "".join([f"running: {named}", *lacking, *unwritten])
    if told["last_heard"]:
        return f"not running ({told['serve']}); last heard {told['last_heard']}, and what is told of calls is of then"
    return f"none was ever heard of here ({told['serve']})"


def _switched_off(rules: Mapping[str, Any]) -> Iterator[Line]:
    """Yield what the settings switch off of what gateways do else."""
    if not rules["shadow_testing"]:
        yield "shadow testing is off (deployment.shadow_testing): no shadow hears calls, and nothing is promoted"
    if not rules["rollback_enabled"]:
        yield "rollback is off (deployment.rollback_enabled): harm is told, and nothing is taken back"


def _trial(entry: Mapping[str, Any], trial: Mapping[str, Any], width: int, every: bool = False) -> Iterator[Line]:
    indent = "  " + "  " * every
    pairs = "no calls" if not trial["pairs"] else counted(trial["pairs"], "call")
    head = f"{indent}{entry['adapter']}/{trial['candidate']} in {trial['stage']} against {trial['incumbent']}: "
    said = trial["error"] or trial["decision"] or trial["reason"]
    yield from _wrapped(f"{trial['verdict']}, {pairs}; {said}", width, head, hang=len(indent) + 4)
    version = next((each for each in entry["versions"] if each["version"] == trial["candidate"]), None)
    if version and version["approval"]:
        yield from _wrapped(version["approval"]["told"], width, f"{indent}    ", hang=len(indent) + 8)
    yield from _metrics(trial, width, indent, every)


def _metrics(trial: Mapping[str, Any], width: int, indent: str, every: bool = False) -> Iterator[Line]:
    for metric in trial["metrics"] if trial["pairs"] else ():
        name = f"{indent}    {metric['metric']:<8} {metric['verdict']:<5} "
        yield from _wrapped(_metric(metric), width, name, hang=len(name))
        if every:
            yield from _wrapped(metric["reason"], width, " " * len(name), hang=len(name))


_TOLD = {"share": (100.0, "{:+.1f} points"), "loss": (1.0, "{:+.3f}"), "ratio": (1.0, "x{:.2f}")}


def _metric(metric: Mapping[str, Any]) -> str:
    factor, form = _TOLD.get(metric["unit"], (1.0, "{:+.3f}"))
    told = {
        name: None if metric[name] is None else form.format(factor * metric[name])
        for name in ("mean", "lower", "upper", "margin")
    }
    harm = f"harm from {told['margin']}"
    if told["mean"] is None:
        return f"not measured; {harm}"
    return f"{told['mean']} ({told['lower']} to {told['upper']}), {harm}, {counted(metric['calls'], 'call')}"


def _taken_back(entry: Mapping[str, Any], width: int) -> Iterator[Line]:
    taken = entry["taken_back"]
    if taken:
        head = f"  {entry['adapter']}/{taken['version']} was rolled back at {taken['since']}: "
        reason, answers = taken["reason"].rstrip("."), entry["answering"] or "nobody"
        admitted = f"; {taken['admitted']}; the next phase 4 lets it hear calls" if taken["admitted"] else ""
        yield from _wrapped(f"{reason}; {answers} answers{admitted}", width, head, hang=4)
        if taken["trial"]:
            yield from _metrics(taken["trial"], width, "  ")


def _mirror(mirror: Mapping[str, Any], width: int) -> Iterator[Line]:
    parts = [f"{counted(mirror['chosen'], 'call')} chosen", f"{mirror['answered']:,} answered"]
    parts += [f"{mirror['timed_out']:,} timed out"] if mirror["timed_out"] else []
    for name in ("errors", "dropped"):
        parts += [f"{name}: {kind} {count:,}" for kind, count in sorted(mirror[name].items())] if mirror[name] else []
    parts += [f"its process started anew {counted(mirror['restarts'], 'time')}"] if mirror["restarts"] else []
    if mirror["process"] not in (None, "ready"):
        parts.append(f"its process is {mirror['process']}" + (f": {mirror['why']}" if mirror["why"] else ""))
    yield from _wrapped(", ".join(parts), width, f"    {mirror['candidate']} heard: ")


def _drift(drift: Mapping[str, Any], width: int) -> Iterator[Line]:
    reference = drift["reference"]
    against = drift["reason"]
    if reference:
        stage = reference["stage"].replace("_", " ")
        against = f"against {counted(reference['rows'], 'training row')} of {reference['version']} ({stage})"
        if drift["answered_by"] != reference["version"]:
            against += f"; {drift['answered_by'] or 'nobody'} answers"
    yield from _wrapped(str(against), width, f"\n  drift, last {drift['window_hours']} h: ", hang=4)
    for feature in drift["features"] if reference else ():
        index = ""
        if feature["psi"] is not None:
            index = f"PSI {feature['psi']:.2f} ({feature['psi_by_chance']:.2f} by chance), "
        note = f"; {feature['expected']}" if feature["verdict"] in ("shifted", "drifting") else ""
        said = f"{index}{counted(feature['calls'], 'call')}: {feature['reason']}{note}"
        name = f"    {feature['feature']:<16} {feature['verdict'].replace('_', ' '):<11} "
        yield from _wrapped(said, width, name, hang=len(name))


def _replay(measured: Mapping[str, Any], width: int) -> Iterator[Line]:
    if measured["shadow_mirrored"] is None:
        return
    quality = [
        f"{name} {measured[key]:.3f}"
        for name, key in (("quality", "shadow_quality"), ("incumbent's", "shadow_incumbent_quality"))
        if measured[key] is not None
    ]
    times = [
        f"{name} {measured[key]:.0f} ms"
        for name, key in (("median", "shadow_ms"), ("incumbent's", "shadow_incumbent_ms"))
        if measured[key] is not None
    ]
    heard = f"{measured['shadow_mirrored']} mirrored, {measured['shadow_answered']} answered"
    parts = [heard, *filter(None, [measured["shadow_agreement"]]), *quality, *times]
    yield from _wrapped(", ".join(parts), width, f"  {measured['engine']}/{measured['version']}: ")


def _layer(entries: Sequence[Mapping[str, Any]]) -> str:
    faults = [f"{entry['name']}: {entry['fault']}" for entry in entries if "fault" in entry]
    whole = [entry for entry in entries if "fault" not in entry]
    if not entries:
        return "empty"
    rows, size = sum(entry["rows"] for entry in whole), sum(entry["bytes"] for entry in whole)
    summed = f"{counted(len(whole), 'folder')}, {counted(rows, 'row')}, {readable_size(size)}"
    named = ", ".join(f"{entry['name']} {entry['rows']:,}" for entry in whole)
    return "; ".join([f"{summed}: {named}" if whole else summed, *(f"unreadable {fault}" for fault in faults)])


def _columns(
    heads: Sequence[str], rows: Sequence[Sequence[str]], width: int, left: int = _LEFT, indent: int = 2
) -> Iterator[Line]:
    """Yield an aligned table; where it is too wide, columns from the middle of the figures go, p50 and p99 first."""
    keep = list(range(len(heads)))
    for spare in ("p50 ms", "p99 ms", "agree", "refused"):
        widths = [max(len(heads[at]), *(len(row[at]) for row in rows)) for at in keep]
        if indent + sum(widths) + 2 * (len(keep) - 1) <= width:
            break
        keep = [at for at in keep if heads[at] != spare]
    for row in [heads, *rows]:
        cells = []
        for at in keep:
            wide = max(len(heads[at]), *(len(other[at]) for other in rows))
            cells.append(row[at].ljust(wide) if at < left else row[at].rjust(wide))
        yield (" " * indent + "  ".join(cells)).rstrip()


def _wrapped(text: str, width: int, head: str, hang: int | None = None) -> Iterator[Line]:
    """Yield a text after its head, wrapped; what follows stands below, indented by `hang`."""
    lead = "\n" * (len(head) - len(head.lstrip("\n")))
    hang = len(head) - len(head.lstrip()) + 4 - len(lead) if hang is None else hang
    lines = textwrap.wrap(
        text, width, initial_indent=head.lstrip("\n"), subsequent_indent=" " * hang, break_on_hyphens=False
    )
    yield from ([lead + lines[0], *lines[1:]] if lines else [head.rstrip()])
