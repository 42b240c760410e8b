"""Metrics of explanation maps by name; reading this table imports none of them."""

from dermaxai.registry import Table

MAP_METRICS = Table(
    "map metric",
    {
        "deletion": "dermaxai.measure.maps.deletion:Deletion",
        "insertion": "dermaxai.measure.maps.deletion:Insertion",
        "insertion_minus_deletion": "dermaxai.measure.maps.deletion:InsertionMinusDeletion",
        "road": "dermaxai.measure.maps.road:Road",
        "faithfulness_correlation": "dermaxai.measure.maps.subsets:FaithfulnessCorrelation",
        "infidelity": "dermaxai.measure.maps.subsets:Infidelity",
        "max_sensitivity": "dermaxai.measure.maps.sensitivity:MaxSensitivity",
        "model_randomisation": "dermaxai.measure.maps.randomisation:ModelRandomisation",
        "text_randomisation": "dermaxai.measure.maps.randomisation:TextRandomisation",
        "pointing": "dermaxai.measure.maps.localisation:Pointing",
        "energy": "dermaxai.measure.maps.localisation:Energy",
        "rank_accuracy": "dermaxai.measure.maps.localisation:RankAccuracy",
        "pixel_ap": "dermaxai.measure.maps.localisation:PixelAveragePrecision",
        "sparseness": "dermaxai.measure.maps.shape:Sparseness",
        "complexity": "dermaxai.measure.maps.shape:Complexity",
        "agreement": "dermaxai.measure.maps.agreement:Agreement",
        "artefact_share": "dermaxai.measure.maps.artefacts:ArtefactShare",
    },
)

BASELINES = Table(
    "baseline map",
    {
        "random": "dermaxai.measure.maps.baselines:RandomMap",
        "centre": "dermaxai.measure.maps.baselines:CentredGaussian",
        "edges": "dermaxai.measure.maps.baselines:EdgeMap",
    },
)
"""Maps that know nothing of the question; each an `AbstractMethod` that answers every kind."""
