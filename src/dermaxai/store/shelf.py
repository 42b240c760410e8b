"""The files of the store: case folders, photos not yet described, and what is derived from a case.

```
<case folder>/            as `dermaxai.cases` writes it
.waiting/<case id>/       image.png, image.json: pixels of a photo that is not described yet; page.json
.derived/<case id>/       photo-….jpg, thumb-….jpg, page-….json: made from the case, made again where lost
.trash/<case id>-…/       on its way out
```
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, final

from dermaxai.cases import load_case, save_case
from dermaxai.errors import NotFound
from dermaxai.store.deriving import derive, page_of, photo_of, picture_name, writer_version
from dermaxai.store.faults import telling_faults
from dermaxai.store.files import keep_folder, write_file, write_folder
from dermaxai.store.indexing import STAMP, stamp_of
from dermaxai.store.names import check_case_id, check_folder_name
from dermaxai.store.places import DERIVED, WAITING, remove_folder, throw_away
from dermaxai.store.steadily import read_steadily
from dermaxai.store.uploads import pack_image, unpack_image

if TYPE_CHECKING:
    from dermaxai.store.tables import CaseRow
    from dermaxai.types import Case, SkinImage

PHOTO_SIDE, THUMB_SIDE = 1600, 320
"""Longest sides, pixels."""


@final
class Shelf:
    """The folder of cases."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def case_folder(self, row: CaseRow) -> Path:
        """Where the case lies, or will. Raises: StoreError for a place outside the folder of cases."""
        return self.folder / check_folder_name(row.folder)

    def keep_upload(self, case_id: str, image: SkinImage) -> None:
        """Keep the pixels of a photo until it is described. Raises: NotFound, StoreError."""
        with telling_faults():
            home = self._waiting(case_id)
            home.parent.mkdir(exist_ok=True)
            write_folder(home, pack_image(image))

    def read_upload(self, case_id: str) -> SkinImage:
        """The photo that `keep_upload` kept, pixel by pixel. Raises: NotFound."""
        return unpack_image(self._waiting(case_id))

    def drop_upload(self, case_id: str) -> None:
        """Forget the photo and the partial page; nothing happens where there is none."""
        with telling_faults():
            remove_folder(self._waiting(case_id))

    def write_partial(self, case_id: str, page: bytes) -> None:
        """Keep the page of a case that is being made, in one step. Raises: NotFound, StoreError."""
        home = self._waiting(case_id)
        with telling_faults():
            try:
                write_file(home / "page.json", page)
            except FileNotFoundError:
                raise _gone(case_id) from None

    def read_partial(self, case_id: str) -> bytes | None:
        """The newest page of a case that is being made; None before the first."""
        try:
            return (self._waiting(case_id) / "page.json").read_bytes()
        except FileNotFoundError:
            return None

    def photo(self, row: CaseRow) -> Path:
        """A JPEG of the photo without metadata, at most 1600 pixels long; also for a waiting case.

        Raises: NotFound where the photo is gone, StoreError.
        """
        return self._picture(row, "photo", PHOTO_SIDE)

    def thumb(self, row: CaseRow) -> Path:
        """The same with 320 pixels."""
        return self._picture(row, "thumb", THUMB_SIDE)

    def page(self, row: CaseRow) -> bytes:
        """What the viewer mounts, as JSON; derived once per revision. Raises: NotFound, StoreError."""
        name = f"page-{row.revision}-{writer_version()}.json"

        def make() -> bytes:
            page = page_of(self.load(row))
            if self._is_of(row):
                return page
            raise _Otherwise(page)

        try:
            return derive(self._derived(row), name, make).read_bytes()
        except _Otherwise as other:  # The next revision, which the row does not know yet: shown, not kept.
            return other.page

    def made_file(self, row: CaseRow, name: str) -> Path:
        """A file of the case folder, as it was written. Raises: NotFound where it is gone."""
        path = self.case_folder(row) / name
        if not path.is_file():
            raise _gone(row.id)
        return path

    def load(self, row: CaseRow) -> Case:
        """The case, of one revision also where it is replaced meanwhile.

        Raises: NotFound where it is not made or gone; DataError for a damaged one.
        """
        home = self.case_folder(row)

        def read() -> Case:
            if not (home / "case.json").is_file():
                raise _gone(row.id)
            return load_case(home)

        return read_steadily(home, read)

    def save(self, row: CaseRow, case: Case) -> Path:
        """Keep the case in its folder in one step, safe from a power cut. Raises: StoreError."""
        with telling_faults():
            home = save_case(case, self.case_folder(row))
            keep_folder(home)
        return home

    def remove(self, row: CaseRow) -> None:
        """Every file of a case: folder, photo, derived files. Raises: StoreError."""
        with telling_faults():
            remove_folder(throw_away(self.folder, row.id, row.folder))

    def _is_of(self, row: CaseRow) -> bool:
        """Whether the folder is what the row was made of, as far as the row knows."""
        known = row.facts.get(STAMP)
        return not known or known == stamp_of(self.case_folder(row))

    def _waiting(self, case_id: str) -> Path:
        return self.folder / WAITING / check_case_id(case_id)

    def _derived(self, row: CaseRow) -> Path:
        return self.folder / DERIVED / check_case_id(row.id)

    def _picture(self, row: CaseRow, kind: str, side: int) -> Path:
        sources = (self.case_folder(row) / "image.png", self._waiting(row.id) / "image.png")

        def make() -> bytes:
            for source in sources:
                if source.is_file():
                    return photo_of(source, side)
            raise _gone(row.id)

        return derive(self._derived(row), picture_name(kind, row.sha256), make)


class _Otherwise(Exception):
    """A page of another revision than the one that was asked for."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.page = page


def _gone(case_id: str) -> NotFound:
    return NotFound(f"The files of case '{case_id}' are not there.", hint="Describe the photo again.")
