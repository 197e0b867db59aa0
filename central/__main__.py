"""`python -m central` is `karb-central`."""


def main() -> None:
    """Run one command; its exit code ends the process."""
    from central.cli import main as run_command  # noqa: PLC0415 - the name loads before the tools

    run_command()


if __name__ == "__main__":
    main()
