"""Where the encoder's square lies in the photo, both ways."""

from __future__ import annotations

from dataclasses import dataclass

from dermaxai.errors import ShapeError


@dataclass(frozen=True, slots=True)
class Placement:
    """The rectangle of the photo that the encoder's patch grid covers, in photo pixels.

    `top`, `left` may be negative (padding); `covered_height`, `covered_width` differ when the photo is
    squashed. Patch (row, column) of a `grid` covers an equal share of the rectangle.
    """

    height: int
    """Of the photo, pixels."""
    width: int
    """Of the photo, pixels."""
    top: float
    """Of the covered rectangle, photo pixels."""
    left: float
    covered_height: float
    covered_width: float

    def cell(self, row: int, column: int, grid: tuple[int, int]) -> tuple[float, float, float, float]:
        """(top, left, bottom, right) of one patch in photo pixels. Raises: ShapeError outside the grid.

        >>> Placement(100, 200, 0, 50, 100, 100).cell(0, 1, (2, 2))
        (0.0, 100.0, 50.0, 150.0)
        """
        rows, columns = grid
        if not (0 <= row < rows and 0 <= column < columns):
            raise ShapeError(f"Patch ({row}, {column}) lies outside the grid of {rows} x {columns}.")
        tall, wide = self.covered_height / rows, self.covered_width / columns
        return (
            self.top + row * tall,
            self.left + column * wide,
            self.top + (row + 1) * tall,
            self.left + (column + 1) * wide,
        )

    def locate(self, y: float, x: float, grid: tuple[int, int]) -> tuple[int, int] | None:
        """The patch that holds photo point (y, x), or None outside the covered rectangle.

        >>> Placement(100, 200, 0, 50, 100, 100).locate(10, 120, (2, 2))
        (0, 1)
        """
        row = (y - self.top) / self.covered_height * grid[0]
        column = (x - self.left) / self.covered_width * grid[1]
        if not (0 <= row < grid[0] and 0 <= column < grid[1]):
            return None
        return int(row), int(column)


def place_center_crop(height: int, width: int, used: float = 1.0) -> Placement:
    """The centred square of a photo's short side; `used` < 1 where the grid leaves a rim right and below."""
    side = min(height, width)
    return Placement(height, width, (height - side) / 2, (width - side) / 2, side * used, side * used)


def place_squash(height: int, width: int, used: float = 1.0) -> Placement:
    """The whole photo squashed to a square; `used` as in `place_center_crop`."""
    return Placement(height, width, 0.0, 0.0, height * used, width * used)
