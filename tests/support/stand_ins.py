"""Packages that are installed in name only."""

from __future__ import annotations

from pathlib import Path


def install_stand_in(site: Path, name: str, version: str) -> Path:
    """Install an empty package into the folder `site`, which belongs on the path of imports; return the folder."""
    (site / name).mkdir(parents=True)
    (site / name / "__init__.py").touch()
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return site
