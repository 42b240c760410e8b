"""Files that are there as a whole or not at all, also after a power cut."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

FRESH = ".new-"
"""Beginning of the names of files and folders that are still being written."""


def write_file(path: Path, content: bytes) -> None:
    """Put `content` in the place of `path` in one step. Raises: OSError, and nothing is left behind."""
    fresh = path.with_name(f"{FRESH}{uuid4().hex[:12]}")
    try:
        _write_through(fresh, content)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    keep_names(path.parent)


def write_folder(path: Path, contents: Mapping[str, bytes]) -> None:
    """Make the folder `path` with all its files in one step. Raises: OSError, and nothing is left behind."""
    fresh = path.with_name(f"{FRESH}{uuid4().hex[:12]}")
    try:
        fresh.mkdir(parents=True)
        for name, content in contents.items():
            _write_through(fresh / name, content)
        keep_names(fresh)
        os.rename(fresh, path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    keep_names(path.parent)


def keep_folder(folder: Path) -> None:
    """Wait until everything in a folder that others wrote is on the disk."""
    for entry in folder.iterdir():
        if entry.is_file():
            descriptor = os.open(entry, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    keep_names(folder)
    keep_names(folder.parent)


def keep_names(folder: Path) -> None:
    """Wait until the names in a folder are on the disk; where the system cannot say, nothing is done."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _write_through(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
