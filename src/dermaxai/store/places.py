"""Where the files of a case lie below the folder of cases, and how they leave it.

A case that is deleted first goes to the trash in one step, from where it comes back if the database refuses.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from uuid import uuid4

from dermaxai.store.names import check_case_id, check_folder_name

WAITING = ".waiting"
DERIVED = ".derived"
TRASH = ".trash"
MAKING = ".making"
"""Where workers make cases, as `<case>.<claim>`."""


def places_of(home: Path, case_id: str, folder: str) -> dict[str, Path]:
    """The three folders of a case. Raises: NotFound, StoreError for names that lead elsewhere."""
    return {
        "case": home / check_folder_name(folder),
        "waiting": home / WAITING / check_case_id(case_id),
        "derived": home / DERIVED / check_case_id(case_id),
    }


def throw_away(home: Path, case_id: str, folder: str) -> Path:
    """Move every file of a case to the trash; the place there. Raises: OSError, and all is as before."""
    places = places_of(home, case_id, folder)
    thrown = home / TRASH / f"{case_id}-{uuid4().hex[:8]}"
    thrown.mkdir(parents=True)
    try:
        for name, place in places.items():
            if os.path.lexists(place):
                os.rename(place, thrown / name)
    except OSError:
        put_back(home, case_id, folder, thrown)
        raise
    return thrown


def put_back(home: Path, case_id: str, folder: str, thrown: Path) -> None:
    """Undo `throw_away`; what has been made in the same place since then stays."""
    for name, place in places_of(home, case_id, folder).items():
        if os.path.lexists(thrown / name) and not os.path.lexists(place):
            place.parent.mkdir(exist_ok=True)
            os.rename(thrown / name, place)
    remove_folder(thrown)


def remove_folder(folder: Path) -> None:
    """A folder with everything in it, if it is there; a link is removed, not followed. Raises: OSError."""
    if folder.is_symlink():
        folder.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        if folder.exists():  # Somebody else removes it too.
            shutil.rmtree(folder, ignore_errors=True)
