"""What the tests of map metrics share: encoders of every kind of pooling."""

from tests.explain.conftest import tower  # noqa: F401 - a fixture
