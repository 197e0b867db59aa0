import shutil
import subprocess
import sys
from pathlib import Path

import pytest

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
