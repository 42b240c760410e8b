"""Explanation methods by name; reading this table imports none of them."""

from dermaxai.registry import Table

METHODS = Table(
    "explanation method",
    {
        "evidence": "dermaxai.explain.evidence:WordEvidence",
        "grad_eclip": "dermaxai.explain.grad_eclip:GradEclip",
        "grad_cam": "dermaxai.explain.grad_cam:GradCam",
        "grad_cam_plusplus": "dermaxai.explain.grad_cam_plusplus:GradCamPlusPlus",
        "xgrad_cam": "dermaxai.explain.xgrad_cam:XGradCam",
        "score_cam": "dermaxai.explain.score_cam:ScoreCam",
        "relevance": "dermaxai.explain.relevance:Relevance",
        "rollout": "dermaxai.explain.rollout:Rollout",
        "legrad": "dermaxai.explain.legrad:LeGrad",
        "decomposition": "dermaxai.explain.decomposition:Decomposition",
        "occlusion": "dermaxai.explain.occlusion:Occlusion",
        "splice": "dermaxai.explain.splice:Splice",
        "convis": "dermaxai.explain.convis:ConVis",
    },
)
