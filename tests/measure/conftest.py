from tests.explain.conftest import tower  # noqa: F401 - a fixture
