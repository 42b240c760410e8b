"""Metrics of captions as texts, by name; reading this table imports none of them."""

from dermaxai.registry import Table

CAPTION_METRICS = Table(
    "caption metric",
    {
        "bleu": "dermaxai.measure.captions.bleu:bleu",
        "rouge_l": "dermaxai.measure.captions.rouge:rouge_l",
        "meteor": "dermaxai.measure.captions.meteor:meteor",
        "cider_d": "dermaxai.measure.captions.cider:cider_d",
        "length": "dermaxai.measure.captions.diversity:length",
        "distinct": "dermaxai.measure.captions.diversity:distinct",
        "bert_score": "dermaxai.measure.captions.bert_score:bert_score",
        "clip_score": "dermaxai.measure.captions.clip_score:clip_score",
    },
)
"""Each a function `(written: Sequence[Written], tools: Tools) -> list[Scored]`, one `Scored` per number."""
