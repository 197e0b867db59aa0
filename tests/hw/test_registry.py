import subprocess
import sys

import pytest

from hw import registry
from hw.device import (
    CardReader,
    CustomerDisplay,
    FiscalPrinter,
    PaymentTerminal,
    ReceiptPrinter,
    Scale,
    Scanner,
)
from hw.errors import DeviceMisconfigured
from hw.registry import DRIVERS, DeviceConfig, load

KINDS = (
    Scanner
    | CardReader
    | ReceiptPrinter
    | FiscalPrinter
    | PaymentTerminal
    | Scale
    | CustomerDisplay
)


def config(driver="scanner.serial", **options):
    return DeviceConfig(id="d", driver=driver, url="serial:/dev/null", options=options)


def test_every_row_loads_and_is_of_a_kind():
    for name in DRIVERS:
        assert isinstance(load(config(name)), KINDS)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (config("scaner.serial"), "Did you mean 'scanner.serial'"),
        (config("zzz"), "expected one of display.line, fiscal.noviapi, fiscal.posnet, printer"),
        (config(sufix="0d"), "Did you mean 'suffix'"),
        (config(suffix="CR"), "hexadecimal"),
        (config(silence_s="soon"), "above zero"),
        (config(silence_s="nan"), "above zero"),
        (config("printer.escpos", poll_s="-1"), "above zero"),
        (config("fiscal.posnet", allow_fiscl="yes"), "Did you mean 'allow_fiscal'"),
        (config("scale.toledo8217", unit="lb"), "expected kg or g"),
        (config("display.line", code_page="cp825"), "Did you mean 'cp852'"),
        (config("display.line", code_page_number="300"), "expected 0 to 255"),
        (config("scale.mtsics", unit="kg"), "'unit' is unknown"),
        (config("fiscal.noviapi", fiscal_numer="ZBN"), "Did you mean 'fiscal_number'"),
    ],
)
def test_mistakes_are_named_with_a_cure(wrong, hint):
    with pytest.raises(DeviceMisconfigured, match=hint):
        load(wrong)


def test_a_missing_library_is_a_mistake_of_the_installation(monkeypatch):
    monkeypatch.setattr(registry, "DRIVERS", {"x": "hw.no_such_driver:X"})
    with pytest.raises(DeviceMisconfigured, match=r"needs hw\.no_such_driver"):
        load(config("x"))


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = (
        "import sys; import hw.supervisor; from hw.registry import *; "
        "load(DeviceConfig(id='p', driver='printer.escpos', url='tcp:h:1')); "
        "load(DeviceConfig(id='f', driver='fiscal.posnet', url='tcp:h:1')); "
        "print(sorted({'escpos', 'PIL', 'serialx', 'edge', 'sync', 'central'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
