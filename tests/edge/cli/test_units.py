import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hw.registry import MATCHES

FOLDER = Path(__file__).parents[3] / "systemd"
UNITS = ("karb.service", "karb-central.service")


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_wrong_with_the_unit(name, tmp_path):
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed here")
    text = (FOLDER / name).read_text(encoding="utf-8")
    unit = tmp_path / name
    # Karb is not installed under /opt here: any executable that exists stands for it.
    for command in ("karb-central", "karb"):
        text = text.replace(f"/opt/karb/bin/{command} ", f"{sys.executable} ")
    unit.write_text(text, encoding="utf-8")
    said = subprocess.run(
        [tool, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    about_us = [line for line in (said.stdout + said.stderr).splitlines() if name in line]
    assert (said.returncode, about_us) == (0, [])


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_restarts_for_ever_keeps_its_state_and_shuts_out_stray_folders(name):
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    stem = name.removesuffix(".service")
    for needed in (
        "Restart=always",
        "StartLimitIntervalSec=0",
        f"StateDirectory={stem}",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "Environment=PYTHONSAFEPATH=1",
    ):
        assert needed in lines


def test_udev_finds_nothing_wrong_with_the_rules():
    tool = shutil.which("udevadm")
    rules = FOLDER / "70-karb.rules"
    able = (
        tool
        and "verify"
        in subprocess.run([tool, "--help"], capture_output=True, text=True, check=True).stdout
    )
    if not able:
        pytest.skip("udevadm that can verify rules (systemd 254) is not installed here")
    done = subprocess.run([tool, "verify", str(rules)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_vendor_that_a_scan_knows_is_kept_from_the_modem_manager():
    text = (FOLDER / "70-karb.rules").read_text(encoding="utf-8")
    told = {
        vendor
        for line in text.splitlines()
        if "ID_MM_DEVICE_IGNORE" in line
        for vendor in re.search(r'idVendor}=="([^"]*)"', line)[1].split("|")
    }
    known = {
        match.split(":")[1] for some in MATCHES.values() for match in some if match[:4] == "usb:"
    }
    assert known <= told


@pytest.mark.parametrize("allowed", ["char-ttyUSB", "char-ttyACM", "char-usb_device", "char-input"])
def test_the_hardened_unit_lets_the_devices_in(allowed):
    lines = (FOLDER / "karb.service").read_text(encoding="utf-8").splitlines()
    assert f"DeviceAllow={allowed} rw" in lines
    assert "DevicePolicy=closed" in lines


def test_labels_of_the_rules_exist_and_every_line_does_something():
    text = (FOLDER / "70-karb.rules").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    labels = {found for line in lines for found in re.findall(r'LABEL="(\w+)"', line)}
    assert {found for line in lines for found in re.findall(r'GOTO="(\w+)"', line)} == labels
    key = r"[A-Z]+(?:\{[A-Za-z_]+\})?"
    for line in lines:
        assert re.fullmatch(rf'(?:{key}(?:==|!=|=)"[^"]*"(?:, )?)+', line), line
