import json
import os
from pathlib import Path

import pytest

from dermaxai.measure.captions.written import Written

ROOT = Path(__file__).parents[3]
GOLDEN = Path(os.environ.get("DERMAXAI_GOLDEN", ROOT.parent / "shared" / "golden")) / "caption_metrics"


@pytest.fixture(scope="session")
def golden():
    """Twelve captions with the values of the COCO evaluation."""
    path = GOLDEN / "golden.json"
    if not path.is_file():
        pytest.skip(f"the reference numbers are not at {GOLDEN}")
    return json.loads(path.read_text())


@pytest.fixture(scope="session", params=["from the raw text", "from given words"])
def golden_written(request, golden):
    kind = "tokenized_" if "given" in request.param else ""
    return [
        Written(item, golden[f"{kind}hypotheses"][item][0], tuple(golden[f"{kind}references"][item]))
        for item in golden["bleu"]["order"]
    ]
