import pytest

from dermaxai.encoders import load_encoder
from tests.encoders import tiny


@pytest.fixture(scope="session", params=list(tiny.BUILDERS))
def pair(request, tmp_path_factory):
    """(encoder, genuine model) of each kind, the encoder read from disk."""
    made = tiny.BUILDERS[request.param](tmp_path_factory.mktemp("models") / request.param)
    return load_encoder(made.name, made.source, offline=True), made
