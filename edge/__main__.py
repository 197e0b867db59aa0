"""`python -m edge` is `karb`."""


def main() -> None:
    """Run one command; its exit code ends the process."""
    from edge.cli import main as run_command  # noqa: PLC0415 - the name loads before the tools

    run_command()


if __name__ == "__main__":
    main()
