"""serve: the gateway: answers calls over HTTP with what the registry says is in production; candidates hear a share of
them, and come up or are taken back by evidence. Ctrl-C or SIGTERM ends it once it has answered what it took."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Collection
from typing import Any

from data_foundry.config import Settings
from data_foundry.errors import FoundryError

_JSON = "-H 'Content-Type: application/json' -d '{\"%s\": \"എന്റെ ബാലൻസ് എത്ര\"}'"
# How to call what is served, by the adapter that answers.
EXAMPLES = {
    "stt": ("/v1/audio/transcriptions", "-F file=@call.wav"),
    "nlu": ("/v1/understand", _JSON % "text"),
    "nlu.topic": ("/v1/understand", _JSON % "text"),
    "sentiment": ("/v1/sentiment", _JSON % "text"),
    "translation": ("/v1/translate", _JSON % "text"),
    "dialect": ("/v1/dialect", "-F file=@call.wav"),
    "tts": ("/v1/audio/tokens", _JSON % "input"),
}


_SHOWN = ("adapter", "answers", "on_trial")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="ADDRESS", help="listen there (default: serving.host, 127.0.0.1)")
    parser.add_argument("--port", type=int, metavar="N", help="0 for any that is free (default: serving.port, 8080)")
    # --engines names what is trained and judged; this is how the gateway runs.
    parser.add_argument(
        "--engine", choices=("local", "ray"), help="one process, or replicas on Ray Serve (default: serving.engine)"
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Serve until told to end; or, with --dry-run, say what would be served."""
    settings = _with_flags(settings, arguments)
    if arguments.dry_run:
        return _preview(settings, as_json=arguments.json)
    from data_foundry.cli import check_hub_source, start_log
    from data_foundry.serving.http.app import keys_of
    from data_foundry.serving.http.voice import check_codec

    check_hub_source(settings, mirrors=True)
    keys = keys_of(settings)
    _check_wishes(settings)
    check_codec(settings)

    if settings.serving.engine == "ray":
        from data_foundry.serving.ray_app import run as run_on_ray

        start_log(settings.base_path)
        run_on_ray(settings, lambda address: print(f"served at {address}", flush=True), _only(settings))
        return 0
    from data_foundry.serving.http.server import address_of, listening_socket, serve

    listening = listening_socket(settings.serving.host, settings.serving.port)
    with listening:
        start_log(settings.base_path)
        from data_foundry.serving.peers import peer_address
        from data_foundry.serving.service import Service

        address = address_of(listening)
        service = Service(settings, only=_only(settings), address=peer_address(address, settings))
        print(f"listening on {address}; loading", file=sys.stderr, flush=True)
        serve(service, keys, listening, lambda: _tell(service, address, as_json=arguments.json))
    return 0


def _with_flags(settings: Settings, arguments: argparse.Namespace) -> Settings:
    """Return the settings with this command's flags laid over. Raises FoundryError."""
    given = {name: getattr(arguments, name) for name in ("host", "port", "engine")}
    flags = {name: value for name, value in given.items() if value is not None}
    if not 0 <= flags.get("port", 0) <= 65_535:
        raise FoundryError(f"--port {flags['port']} is no port.", "0 to 65535; 0 for any that is free.")
    return settings.model_copy(update={"serving": settings.serving.model_copy(update=flags)})


def _only(settings: Settings) -> tuple[str, ...]:
    """Return the adapters that --engines names, empty for all."""
    from data_foundry.engines.adapters import selected

    return tuple(selected(settings.training, settings.engines)) if settings.engines else ()


def _planned(settings: Settings) -> list[dict[str, Any]]:
    """Return what the registry and the settings say of every adapter; loads nothing."""
    from data_foundry.finetuning.versions.registry import Registry
    from data_foundry.lake import Lake
    from data_foundry.serving.routing import who_answers, wishes

    lake = Lake(settings)
    wished = wishes(settings, Registry(lake))
    _check_dialects(settings, wished)
    only, found = _only(settings), []
    for name, wish in wished.items():
        if only and name not in only:
            continue
        answers, why = who_answers(settings, lake, wish)
        trials = "; ".join(f"{trial.candidate} in {trial.stage} v. {trial.incumbent}" for trial in wish.trials)
        known = bool(wish.stand_ins)
        found.append({"adapter": name, "answers": answers, "on_trial": trials or None, "why": why, "registered": known})
    return found


def _check_dialects(settings: Settings, known: Collection[str]) -> None:
    """Raises FoundryError for a dialect that no model answers with, and for what is no adapter of transcription."""
    from data_foundry.adapter_name import is_of
    from data_foundry.engines.regions import REGIONS

    own = [name for name in known if is_of(name, "stt")]
    for dialect, adapter in settings.serving.dialect_adapters.items():
        if dialect not in REGIONS:
            raise FoundryError(
                f"serving.dialect_adapters names {dialect}, which is no dialect.", f"Dialects: {', '.join(REGIONS)}."
            )
        if adapter not in own:
            raise FoundryError(
                f"serving.dialect_adapters names {adapter} for {dialect}, which is no adapter that transcribes here.",
                f"There are: {', '.join(own)}; training.variants names others.",
            )


def _check_wishes(settings: Settings) -> None:
    """Raises FoundryError where nothing could be served, and where a dialect's adapter is none."""
    planned = _planned(settings)
    if not any(each["registered"] for each in planned):
        raise FoundryError(
            f"There is nothing to serve: no version is registered under {settings.base_path}.",
            "Run phase 4 first (phase4-finetuning/train_deploy_models.py), or give another --base-path DIR.",
        )
    if not any(each["answers"] for each in planned):
        raise FoundryError(
            f"There is nothing to serve: {' '.join(each['why'] for each in planned)}",
            "Approve a version, change the setting, or name other --engines.",
        )


def _preview(settings: Settings, *, as_json: bool) -> int:
    from data_foundry.commands.tables import print_table

    serving = settings.serving
    planned = [{name: each[name] for name in ("adapter", "answers", "on_trial", "why")} for each in _planned(settings)]
    place = f"{serving.host}:{serving.port}"
    if as_json:
        print(json.dumps({"address": place, "engine": serving.engine, "adapters": planned}, indent=1))
    else:
        keys = "an API key is asked for" if serving.require_api_key else "no API key is asked for"
        print(f"would listen on {place} ({serving.engine}); {keys}")
        shown = [{**each, "answers": each["answers"] or "nobody"} for each in planned]
        print_table(f"would serve from {settings.base_path}", [{k: each[k] for k in _SHOWN} for each in shown])
        for each in planned:
            if not each["answers"]:
                print(f"  {each['why']}")
    return 0


def _tell(service: Any, address: str, *, as_json: bool) -> None:
    """Print what is served, on which version, and how to call it."""
    from data_foundry.commands.tables import print_table

    routes = list(service.gateway.routes().values())
    served = [{"adapter": r.adapter, "version": r.incumbent, "task": r.task} for r in routes if not r.why]
    missing = [{"adapter": r.adapter, "why": r.why} for r in routes if r.why]
    if as_json:
        print(json.dumps({"address": address, "served": served, "not_served": missing}), flush=True)
        return
    print_table(f"served at {address}", served)
    if missing:
        print_table("not served", missing)
    for line in service.gateway.ready():
        print(f"  missing: {line}")
    key = ' -H "Authorization: Bearer $KEY"' if service.settings.serving.require_api_key else ""
    # By their paths: one example of each.
    known = dict(EXAMPLES[each["adapter"]] for each in served if each["adapter"] in EXAMPLES)
    for path, content in known.items():
        print(f"\n  curl {address}{path}{key} {content}")
    print(f"\n  watch it at {address}/", flush=True)
