"""How a device fails, sorted by what a person or the program should do about it."""


class HwError(Exception):
    """Root of everything `hw` raises.

    `problem` says what was expected and what was got, naming the value;
    `cure` says what to do about it. The message is both.
    """

    def __init__(self, problem: str, *, cure: str) -> None:
        super().__init__(f"{problem} {cure}")
        self.problem = problem
        self.cure = cure


class DeviceUnavailable(HwError):
    """The device is not there or does not answer; trying again later may help."""


class DeviceMisconfigured(HwError):
    """A setting is wrong; only a person can put it right."""


class DeviceRefused(HwError):
    """The device is fine, this one job is not; nothing of it was done."""
