"""A disk that is really full, at every step of a generation (faults/full_disk.py): ext4, or else the memory's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

SCRIPT: Final = Path(__file__).parent / "faults" / "full_disk.py"
SIZE_MB: Final = 4

_EXT4: Final = (
    f'dd if=/dev/zero of="$1/image" bs=1M count={SIZE_MB} 2>/dev/null && mkfs.ext4 -q -F -m 0 "$1/image" '
    '&& mount -o loop "$1/image" "$1/disk"'
)
_TMPFS: Final = f'mount -t tmpfs -o size={SIZE_MB}m none "$1/disk"'


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mount", [_EXT4, _TMPFS], ids=["ext4", "tmpfs"])
def test_a_full_disk_costs_nothing_that_was_paid_for(mount: str, tmp_path: Path) -> None:
    """In a mount namespace of its own, of which nothing remains."""
    (tmp_path / "disk").mkdir()
    alone = _namespace(mount, tmp_path)
    run = f'{mount} && exec "$2" "$3" "$1/disk"'
    command = [*alone, "sh", "-c", run, "sh", str(tmp_path), sys.executable, str(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 violations" in done.stdout


def _namespace(mount: str, folder: Path) -> list[str]:
    """Return the command that runs another where it may mount this; skip where nobody may."""
    said = "there is no `unshare` here"
    if shutil.which("unshare"):
        for alone in (["unshare", "--mount"], ["unshare", "--mount", "--user", "--map-root-user"]):
            tried = subprocess.run(
                [*alone, "sh", "-c", mount, "sh", str(folder)], capture_output=True, text=True, check=False
            )
            if tried.returncode == 0:
                return alone
            said = tried.stderr.strip()
    pytest.skip(f"NOT TESTED: a full disk, since this system mounts none for us: {said}")
