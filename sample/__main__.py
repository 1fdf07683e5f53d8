"""Make the bundled sample Hub again: its nine dataset repositories, its tiny base models, or both.

Needs espeak-ng and ffmpeg on the path. Nobody needs to run this to use the sample: what it makes is tracked.
"""

from __future__ import annotations

import argparse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "storage" / "sample-hub"


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m sample", description=__doc__)
    parser.add_argument("part", choices=("datasets", "bases", "all"), help="what to make")
    parser.add_argument("--root", type=Path, default=ROOT, help="the Hub folder to write (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.part in ("datasets", "all"):
        from sample import repos

        for name, seconds in repos.build(args.root).items():
            print(f"{name}: {seconds} s")
    if args.part in ("bases", "all"):
        from sample import bases

        bases.build(args.root)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
