"""doctor: what is missing on this machine, and per dataset on the Hub, before a run; writes nothing."""

from __future__ import annotations

import argparse
import json

from data_foundry.config import Settings


def run(arguments: argparse.Namespace, settings: Settings) -> int:
    """Print what a run would miss."""
    from data_foundry.ingestion.doctor import diagnose

    diagnoses = diagnose(settings)
    if arguments.json:
        print(json.dumps(diagnoses, indent=1))
    for each in () if arguments.json else diagnoses:
        print(f"{each['status']:<8} {each['check']:<8} {each['subject']}: {each['message']}")
        if each["next_step"]:
            print(f"{'':<18}-> {each['next_step']}")
    return 1 if any(each["status"] == "error" for each in diagnoses) else 0
