"""Metrics of what captions state: diagnoses, findings and measured facts against what is known.

Reading the table imports none of them; `docs/clinical_metrics.md` says what each counts.
"""

from dermaxai.registry import Table

CLINICAL_METRICS = Table(
    "clinical metric",
    {
        "diagnosis": "dermaxai.measure.clinical.diagnosis:diagnosis",
        "concepts": "dermaxai.measure.clinical.concepts:concepts",
        "slots": "dermaxai.measure.clinical.slots:slots",
        "hallucination": "dermaxai.measure.clinical.hallucination:hallucination",
        "calibration": "dermaxai.measure.clinical.calibration:calibration",
    },
)
"""Each a function `(stated: Sequence[Stated]) -> list[Scored]`, one row per caption and one `Scored` per
number; a number that no caption can have is left out."""
