"""The commands of `python -m data_foundry`, one module each: its docstring is its help, `run` does the work.

A module may define `add_arguments(parser)` for flags of its own, beside those that all commands take.
"""

COMMANDS = ("status", "doctor", "verify", "lineage", "export", "models", "approve", "rollback", "keys", "serve")
