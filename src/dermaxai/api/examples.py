"""Three drawn photos for a first try: nobody's skin, and the answer is known."""

from __future__ import annotations

import functools
import io
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Request, Response
from PIL import Image

from dermaxai.api.answers import ASK_AGAIN, is_known
from dermaxai.api.errors import refusals
from dermaxai.api.schemas import Sent
from dermaxai.errors import NotFound
from dermaxai.images import read_image
from dermaxai.types import Language, SkinImage

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import UInt8

    from dermaxai.phantom import Phantom, PhantomPlan

router = APIRouter(prefix="/api/examples", tags=["examples"])

COUNT = 3
_DRAWING: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)
THUMB_SIDE = 320
"""Pixels."""
ExampleNumber = Annotated[int, Path(ge=1, le=COUNT, description="1, 2 or 3.", examples=[1])]


class Example(Sent):
    """One drawn photo."""

    number: int
    text: dict[Language, str]
    """What was drawn, in words."""
    photo: str
    """Address of the photo."""
    thumb: str
    """Address of a small one."""


class ExampleList(Sent):
    """All of them."""

    examples: list[Example]


@router.get("", responses=refusals(), summary="The drawn photos")
def list_examples() -> ExampleList:
    """Three drawn lesions with what was drawn in words; `POST /api/examples/{number}` describes one."""
    return ExampleList(examples=[_row(number) for number in range(1, COUNT + 1)])


@router.get(
    "/{number}/{kind}",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, **refusals(404)},
    summary="The picture of a drawn photo",
)
def show_example(
    request: Request,
    number: ExampleNumber,
    kind: Annotated[str, Path(pattern="^(photo|thumb)$", description="'photo' or 'thumb'.")],
) -> Response:
    """As JPEG: in full, or at most 320 pixels wide."""
    headers = {**ASK_AGAIN, "ETag": f'"example-{number}-{kind}"'}
    if is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(
        _jpeg(number, THUMB_SIDE if kind == "thumb" else 0), media_type="image/jpeg", headers=headers
    )


def draw_example(number: int) -> UInt8[np.ndarray, "height width 3"]:
    """The pixels of drawn photo `number`, 1 to 3. Raises: NotFound."""
    return _phantom(number).image.pixels


def prepare_examples() -> None:
    """Draw them before anybody asks: each takes up to a second."""
    for number in range(1, COUNT + 1):
        _jpeg(number, THUMB_SIDE)
    for number in range(1, COUNT + 1):
        example_photo(number)


def example_photo(number: int) -> tuple[SkinImage, str]:
    """A drawn photo as if it had been received, and its name. Raises: NotFound."""
    return _received(number), f"drawn {number}.png"


@functools.cache
def _received(number: int) -> SkinImage:
    buffer = io.BytesIO()
    Image.fromarray(draw_example(number)).save(buffer, "PNG")
    return read_image(buffer.getvalue())


def _phantom(number: int) -> Phantom:
    # Whoever asks for one that is being drawn waits for it instead of drawing it too.
    with _DRAWING[number]:
        return _drawn(number)


@functools.cache
def _drawn(number: int) -> Phantom:
    from dermaxai.phantom import draw_phantom

    return draw_phantom(_plan(number), number)


def _plan(number: int) -> PhantomPlan:
    from dermaxai.phantom import PhantomPlan

    plans = {
        1: PhantomPlan("medium", "asymmetric", "irregular", ("dark brown", "blue-grey")),
        2: PhantomPlan("small", "symmetric", "regular", ("light brown",), hairs=6),
        3: PhantomPlan("large", "symmetric", "irregular", ("red", "white"), ruler=True),
    }
    if number not in plans:
        raise NotFound(f"There is no drawn photo {number}.", hint=f"They are numbered 1 to {COUNT}.")
    return plans[number]


@functools.cache
def _jpeg(number: int, side: int) -> bytes:
    picture = Image.fromarray(draw_example(number))
    if side:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _row(number: int) -> Example:
    from dermaxai.phantom import caption_plan

    plan = _plan(number)
    place = f"/api/examples/{number}"
    texts: dict[Language, str] = {"en": caption_plan(plan, "en"), "ru": caption_plan(plan, "ru")}
    return Example(number=number, text=texts, photo=f"{place}/photo", thumb=f"{place}/thumb")
