"""Every call as the description says, with whatever it allows and much that it does not: no fault of ours."""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from tests.api.small_server import token_of
from tests.api.whole_server import put_case, whole_server

EXAMPLES = int(os.environ.get("DERMAXAI_SCHEMA_EXAMPLES", "8"))
"""Per call and mode; `benchmarks/uploads.py` says how many were once tried."""
CASE = "7f3a91c2b604"
"""The id that the description gives as its example."""
SKIPPED = (
    "positive_data_acceptance", "negative_data_rejection", "ignored_auth", "use_after_free",
    "ensure_resource_availability", "missing_required_header",
)  # fmt: skip
"""What is right in form may still name nothing that exists."""
WITHOUT_END = "/api/jobs/{job_id}/events"
"""A stream of a job that nobody works on does not end; `test_events.py` reads it."""
MODES = {"as described": GenerationMode.POSITIVE, "otherwise": GenerationMode.NEGATIVE}


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """The description of a whole server with one case, and what signs an admin in."""
    app = whole_server(tmp_path_factory.mktemp("cases"), hosts=("testserver",), per_minute=0, queue=100_000)
    put_case(app, CASE)
    signed = {"Authorization": f"Bearer {token_of(app, 'lead', 'admin', days=1)}"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=signed)
    return schema.exclude(path=WITHOUT_END), signed


def faults_of(operation, mode, signed):
    """What one call did that its description does not say; '' for nothing."""
    steady = settings(
        max_examples=EXAMPLES,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
        deadline=None,
        derandomize=True,
    )

    @steady
    @given(case=operation.as_strategy(generation_mode=mode))
    def try_one(case):
        case.call_and_validate(headers=signed, excluded_checks=CHECKS.get_by_names(SKIPPED))

    try:
        try_one()
    except Unsatisfiable:  # A call without anything to be given has nothing to be given wrongly.
        return ""
    except (Exception, BaseExceptionGroup) as fault:
        return f"{operation.label}: {fault}"
    return ""


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_every_call_is_as_described(described, mode):
    schema, signed = described
    operations = [found.ok() for found in schema.get_all_operations()]
    faults = [faults_of(operation, MODES[mode], signed) for operation in operations]
    assert len(operations) > 30
    assert not any(faults), "\n\n".join(filter(None, faults))
