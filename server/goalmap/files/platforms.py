"""What operating systems offer, as far as a commit depends on it."""

import sys
from typing import NamedTuple


class Platform(NamedTuple):
    """What an operating system offers."""

    has_dir_fd: bool  # opens relative to a directory's descriptor; Windows cannot
    syncs_folders: bool  # fsync of a directory; Windows cannot, and NTFS keeps the order by its own journal
    has_modes: bool  # owners and permission bits
    rename_call: str | None  # the C function that renames with flags
    no_clobber_flag: int = 0
    exchange_flag: int = 0
    busy_wait_s: float = 0.0  # how long to retry while virus scanners and indexers hold a file


LINUX = Platform(
    has_dir_fd=True, syncs_folders=True, has_modes=True, rename_call="renameat2", no_clobber_flag=1, exchange_flag=2
)
MACOS = Platform(
    has_dir_fd=True, syncs_folders=True, has_modes=True, rename_call="renameatx_np", no_clobber_flag=4, exchange_flag=2
)
OTHER_UNIX = Platform(has_dir_fd=True, syncs_folders=True, has_modes=True, rename_call=None)
WINDOWS = Platform(has_dir_fd=False, syncs_folders=False, has_modes=False, rename_call=None, busy_wait_s=0.5)

THIS = {"win32": WINDOWS, "darwin": MACOS, "linux": LINUX}.get(sys.platform, OTHER_UNIX)
