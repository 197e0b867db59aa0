"""`karb`, the commands of a store and of its installer.

Exit codes are a promise: 0 ok, 1 failed, 2 usage, 3 not reachable, 4 refused. With
`--json` each command says one JSON value on standard output, a failure too. No command
ever shows a secret, but for a token at the moment it is made.

While `karb run` holds the data folder, the others ask it over HTTP with the token it left
there; they open the database themselves only when nothing runs.

* `commands`: one function a command. `ask`: HTTP to the running node.
* `say`: what a person or a program is told, and the exit codes.
"""


def main() -> None:
    """Run one command; its exit code ends the process."""
    from edge.cli.commands import app  # noqa: PLC0415 - the name loads before the tools
    from edge.cli.say import run  # noqa: PLC0415

    run(app)
