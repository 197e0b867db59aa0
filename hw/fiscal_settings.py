"""The options that every fiscal printer's driver has, and what they forbid.

`state` (file that outlives the process: what was ordered; only for a driver that runs alone,
without a memory given by its program), `allow_fiscal` (`yes` where its receipts may count
before the tax office; otherwise a fiscalised printer is refused), `fiscal_number` (its unique
number; another printer is refused), `shared` (`yes` when another computer prints on it too),
`answer_timeout_s`, `job_timeout_s` (60) while it prints, `resolve_timeout_s` (10) for asking
after a loss, `poll_s` (15) between questions when idle.
"""

from collections.abc import Collection
from pathlib import Path

from hw.errors import DeviceMisconfigured
from hw.memory import FileMemory, Memory
from hw.registry import DeviceConfig, check_options, positive

ASK_AGAIN = "Karb asks the printer again when it answers; do not ring the sale up anew."
LOOK = "Look at the paper, and say in Karb whether the receipt is there."

OPTIONS = (
    "state",
    "allow_fiscal",
    "fiscal_number",
    "shared",
    "answer_timeout_s",
    "job_timeout_s",
    "resolve_timeout_s",
    "poll_s",
)


class FiscalSettings:
    """As a person configured one printer."""

    def __init__(
        self,
        config: DeviceConfig,
        memory: Memory | None,
        *,
        answer_timeout_s: float,
        more: Collection[str] = (),
    ) -> None:
        """Read them.

        Args:
            config: Of the device.
            memory: Where to note; None: in the file that `state` names, if any.
            answer_timeout_s: When none is configured.
            more: The driver's own options.

        Raises:
            DeviceMisconfigured: An option is unknown or senseless.
        """
        check_options(config, (*OPTIONS, *more))
        state = config.options.get("state")
        self.id, self.url = config.id, config.url
        self.memory = memory or (FileMemory(Path(state)) if state else None)
        self.allow_fiscal = config.options.get("allow_fiscal") == "yes"
        self.number = config.options.get("fiscal_number", "")
        self.shared = config.options.get("shared") == "yes"
        self.answer_timeout_s = positive(config, "answer_timeout_s", answer_timeout_s)
        self.job_timeout_s = positive(config, "job_timeout_s", 60.0)
        self.resolve_timeout_s = positive(config, "resolve_timeout_s", 10.0)
        self.poll_s = positive(config, "poll_s", 15.0)

    def check(self, unique_number: str, *, fiscal: bool) -> None:
        """Whether this printer may be used.

        Raises:
            DeviceMisconfigured: It is another one, or its receipts would count.
        """
        if self.number and _plain(self.number) != _plain(unique_number):
            raise DeviceMisconfigured(
                f"Printer {self.id} at {self.url}: expected unique number {self.number}, "
                f"got {unique_number}.",
                cure="Connect the right printer, or correct fiscal_number.",
            )
        if fiscal and not self.allow_fiscal:
            raise DeviceMisconfigured(
                f"Printer {self.id} at {self.url}: {unique_number} is fiscalised, and "
                "allow_fiscal is not yes.",
                cure="Use a printer in training mode; set allow_fiscal only in a store.",
            )


def _plain(number: str) -> str:
    return "".join(number.split()).upper()
