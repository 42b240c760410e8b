"""What can be wrong with a request, found before a model is loaded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import typer

from dermaxai.commands.console import complain
from dermaxai.errors import DataError, ImageUnreadable, SettingError

FAILED = 1
MISSING = 3
"""Exit code for a file or folder that should be there."""


def check_file(path: Path) -> None:
    """Nothing is left behind. Raises: SettingError unless a file can be written at `path`."""
    try:
        if path.is_dir():
            raise SettingError(f"'{path}' is a folder; a file is written.", hint="Name a file with -o.")
        if path.exists() and not path.is_file():
            raise SettingError(f"'{path}' is not an ordinary file.", hint="Name another file with -o.")
        _try_to_write(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


def check_folder(path: Path) -> None:
    """Nothing is left behind. Raises: SettingError unless files can be written into the folder `path`."""
    try:
        if path.exists() and not path.is_dir():
            raise SettingError(f"'{path}' is a file; a folder is needed.", hint="Name a folder with -o.")
        _try_to_write(path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _try_to_write(folder: Path) -> None:
    """Where `folder` is not there yet, the nearest folder above it counts. Raises: OSError."""
    while not folder.exists():
        folder = folder.parent
    with tempfile.TemporaryFile(dir=folder):
        pass


def _unwritable(path: Path, error: OSError) -> SettingError:
    reason = error.strerror or str(error)
    return SettingError(f"'{path}' cannot be written: {reason}.", hint="Choose another place with -o.")


def check_case(folder: Path) -> None:
    """Raises: typer.Exit with the code of missing files where nothing is at `folder`."""
    if is_missing(folder):
        complain(DataError(f"There is no case '{folder}'.", hint="Check the path."))
        raise typer.Exit(MISSING)


def is_missing(path: Path) -> bool:
    """Whether nothing is there; what cannot be looked at is not missing."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def tell_missing(photos: Iterable[Path]) -> dict[Path, ImageUnreadable]:
    """The photos that are not there, each told on stderr, with its error."""
    from dermaxai.images import show_name

    missing = {
        photo: ImageUnreadable(f"There is no file '{show_name(photo)}'.", hint="Check the path.")
        for photo in photos
        if is_missing(photo)
    }
    for photo, error in missing.items():
        complain(error, str(photo))
    return missing


def exit_code(codes: Iterable[int]) -> int:
    """One code for many failures: theirs where they agree.

    >>> exit_code([3, 3]), exit_code([3, 1]), exit_code([])
    (3, 1, 0)
    """
    kinds = set(codes)
    if not kinds:
        return 0
    return kinds.pop() if len(kinds) == 1 else FAILED
