"""The commands of head office.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not reachable, 4 refused.
"""

import json
import sys

from typer.exceptions import TyperException


def main() -> None:
    """Run one command; its exit code ends the process."""
    from central.cli.commands import USAGE, app  # noqa: PLC0415 - loads only when a command runs

    as_json = "--json" in sys.argv
    try:
        # What is wrong with the words themselves typer tells to people only.
        code = app(prog_name="karb-central", standalone_mode=not as_json)
    except TyperException as error:
        print(json.dumps({"error": error.format_message(), "exit": 2}))  # noqa: T201 - the answer
        code = USAGE
    sys.exit(code if isinstance(code, int) else 0)
