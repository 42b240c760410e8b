"""What readers said of a case folder, by the store that lies beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dermaxai.errors import NotFound
from dermaxai.reading.telling import readings_of
from dermaxai.store.cases import find_case
from dermaxai.store.opening import FILE, open_store


def readings_beside(folder: Path, caption: str, url: str = "") -> list[dict[str, Any]]:
    """The answers of all readers as `readings_of` gives them, from the store at `url` or in the folder above.

    Empty where there is no store, or where it does not know this case, or not with this caption. Nothing in
    the store is changed. Raises: StoreError.
    """
    place = folder.resolve()
    if not (url or (place.parent / FILE).is_file()):
        return []
    store = open_store(place.parent, url, readonly=True)
    try:
        with store.read() as session:
            known = find_case(session, place.name).caption == caption
            return readings_of(session, place.name) if known else []
    except NotFound:
        return []
    finally:
        store.close()
