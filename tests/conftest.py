"""A small whole model, saved in the genuine formats, and photos to ask it about."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

settings.register_profile(
    "steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
"""A busy machine fails no test, and a failure comes back."""

# For child processes only: imported here it would forbid the tests their own loopback.
collect_ignore = ["no_network"]

SETTINGS = (
    "OFFLINE", "WEIGHTS", "DEVICE", "DTYPE", "THREADS", "SEED", "BEAMS", "BATCH",
    "MAX_BYTES", "MAX_PIXELS", "MIN_SIDE",
)  # fmt: skip
HEAVY = ("matplotlib", "numpy", "open_clip", "scipy", "torch", "transformers")


@pytest.fixture
def plain_environment(monkeypatch):
    """The test does not depend on settings in the environment, and leaves no trace in it."""
    for name in SETTINGS:
        monkeypatch.delenv(f"DERMAXAI_{name}", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def heavy_after():
    """Names of the heavy libraries that a fresh interpreter has loaded after it ran some code."""

    def names(code: str) -> list[str]:
        asked = f"{code}\nimport sys; print(*[name for name in {HEAVY} if name in sys.modules])"
        done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
        return done.stdout.split()

    return names


@pytest.fixture(scope="session")
def bundle(tmp_path_factory) -> Path:
    """A folder with `encoder/` and `captioner/`, tiny; it writes English and Russian words."""
    from tests.tiny_model import write_bundle

    return write_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="session")
def model(bundle):
    """The model of `bundle` in memory."""
    from dermaxai.pipeline import load

    return load(bundle, device="cpu", batch=2)


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> list[Path]:
    """Three drawn photos of different sizes; the last in a folder of its own, with a Cyrillic name."""
    from tests.sample_case import draw_photo

    folder = tmp_path_factory.mktemp("photos")
    (folder / "снимки").mkdir()
    places = [folder / "one.jpg", folder / "two.png", folder / "снимки" / "родинка 3.png"]
    for index, place in enumerate(places):
        photo = draw_photo(120 + 20 * index, 160, (60.0 + 5 * index, 80.0))
        Image.fromarray(np.ascontiguousarray(photo.pixels)).save(place)
    return places


@pytest.fixture
def broken(tmp_path) -> Path:
    """A file that says it is a photo."""
    place = tmp_path / "broken.jpg"
    place.write_bytes(b"\xff\xd8\xff\xe0 this is no photo")
    return place
