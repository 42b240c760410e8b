"""Explanation methods by name; reading this table imports none of them."""

from dermaxai.registry import Table

METHODS = Table(
    "explanation method",
    {
        "evidence": "dermaxai.explain.evidence:WordEvidence",
        "grad_eclip": "dermaxai.explain.grad_eclip:GradEclip",
    },
)
