"""The works that a methods section rests on: found by their number in a text, listed, and as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ARXIV = re.compile(r"arXiv:(\d{4}\.\d{4,5})")


@dataclass(frozen=True, slots=True)
class Work:
    """One paper or book."""

    authors: str
    """Family names and initials, joined by ' and '; 'others' for the rest."""
    title: str
    year: int
    where: str = ""
    """Journal, conference or publisher; '' for a preprint."""


_TABLE = """
1311.2901 | 2014 | ECCV | Zeiler, M. D. and Fergus, R.
    Visualizing and Understanding Convolutional Networks
1411.5726 | 2015 | CVPR | Vedantam, R. and Zitnick, C. L. and Parikh, D.
    CIDEr: Consensus-based Image Description Evaluation
1509.06321 | 2017 | IEEE TNNLS | Samek, W. and others
    Evaluating the Visualization of What a Deep Neural Network Has Learned
1510.03055 | 2016 | NAACL | Li, J. and others
    A Diversity-Promoting Objective Function for Neural Conversation Models
1608.00507 | 2016 | ECCV | Zhang, J. and others
    Top-Down Neural Attention by Excitation Backprop
1610.02391 | 2017 | ICCV | Selvaraju, R. R. and others
    Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization
1703.01365 | 2017 | ICML | Sundararajan, M. and Taly, A. and Yan, Q.
    Axiomatic Attribution for Deep Networks
1706.04599 | 2017 | ICML | Guo, C. and others
    On Calibration of Modern Neural Networks
1710.11063 | 2018 | WACV | Chattopadhyay, A. and others
    Grad-CAM++: Improved Visual Explanations for Deep Convolutional Networks
1806.07421 | 2018 | BMVC | Petsiuk, V. and Das, A. and Saenko, K.
    RISE: Randomized Input Sampling for Explanation of Black-box Models
1810.03292 | 2018 | NeurIPS | Adebayo, J. and others
    Sanity Checks for Saliency Maps
1810.06583 | 2020 | ICML | Chalasani, P. and others
    Concise Explanations of Neural Networks using Adversarial Training
1901.09392 | 2019 | NeurIPS | Yeh, C.-K. and others
    On the (In)fidelity and Sensitivity of Explanations
1904.09675 | 2020 | ICLR | Zhang, T. and others
    BERTScore: Evaluating Text Generation with BERT
1910.01279 | 2020 | CVPR Workshops | Wang, H. and others
    Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks
2003.07258 | 2022 | Information Fusion | Arras, L. and Osman, A. and Samek, W.
    CLEVR-XAI: A Benchmark Dataset for the Ground Truth Evaluation of Neural Network Explanations
2005.00631 | 2020 | IJCAI | Bhatt, U. and Weller, A. and Moura, J. M. F.
    Evaluating and Aggregating Feature-based Model Explanations
2005.00928 | 2020 | ACL | Abnar, S. and Zuidema, W.
    Quantifying Attention Flow in Transformers
2008.02312 | 2020 | BMVC | Fu, R. and others
    Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs
2103.15679 | 2021 | ICCV | Chefer, H. and Gur, S. and Wolf, L.
    Generic Attention-model Explainability for Interpreting Bi-Modal and Encoder-Decoder Transformers
2104.08718 | 2021 | EMNLP | Hessel, J. and others
    CLIPScore: A Reference-free Evaluation Metric for Image Captioning
2112.01071 | 2022 | ECCV | Zhou, C. and Loy, C. C. and Dai, B.
    Extract Free Dense Labels from CLIP
2202.00449 | 2022 | ICML | Rong, Y. and others
    A Consistent and Efficient Evaluation Strategy for Attribution Methods
2301.12597 | 2023 | ICML | Li, J. and others
    BLIP-2: Bootstrapping Language-Image Pre-training with Frozen Image Encoders and Large Language Models
2310.05916 | 2024 | ICLR | Gandelsman, Y. and Efros, A. A. and Steinhardt, J.
    Interpreting CLIP's Image Representation via Text-Based Decomposition
2402.10376 | 2024 | NeurIPS | Bhalla, U. and others
    Interpreting CLIP with Sparse Linear Concept Embeddings (SpLiCE)
2404.03214 | 2024 | ICCV 2025 | Bousselham, W. and others
    LeGrad: An Explainability Method for Vision Transformers via Feature Formation Sensitivity
2405.14563 | 2024 |  | Giulivi, L. and Boracchi, G.
    Concept Visualization: Explaining the CLIP Multi-modal Embedding Using WordNet
2502.18816 | 2025 |  | Zhao, C. and others
    Grad-ECLIP: Gradient-based Visual and Textual Explanations for CLIP
"""
"""Number, year, where it appeared, authors; then the title."""


def _read_table() -> Iterator[tuple[str, Work]]:
    lines = _TABLE.strip().splitlines()
    for head, title in zip(lines[::2], lines[1::2], strict=True):
        number, year, where, authors = (part.strip() for part in head.split("|"))
        yield number, Work(authors, title.strip(), int(year), where)


WORKS = dict(_read_table())
"""By arXiv number."""
BOOTSTRAP = Work(
    "Efron, B. and Tibshirani, R. J.", "An Introduction to the Bootstrap", 1993, "Chapman & Hall"
)
BOOTSTRAP_P = Work(
    "Davison, A. C. and Hinkley, D. V.", "Bootstrap Methods and their Application", 1997, "Cambridge"
)
HOLM = Work(
    "Holm, S.",
    "A Simple Sequentially Rejective Multiple Test Procedure",
    1979,
    "Scandinavian Journal of Statistics 6, 65-70",
)
STATISTICS = {"efron1993": BOOTSTRAP, "davison1997": BOOTSTRAP_P, "holm1979": HOLM}


def numbers_in(text: str) -> list[str]:
    """Numbers at arXiv, each once, in order.

    >>> numbers_in("as in arXiv:1610.02391 and arXiv:2402.10376, not arXiv:1610.02391")
    ['1610.02391', '2402.10376']
    """
    return list(dict.fromkeys(ARXIV.findall(text)))


def reference_lines(numbers: Iterable[str]) -> list[str]:
    """Markdown list of works by number, then those of the statistics."""
    lines = [
        f"- {_line(WORKS[number])} arXiv:{number}" if number in WORKS else f"- arXiv:{number}"
        for number in numbers
    ]
    return [*lines, *(f"- {_line(work)}" for work in STATISTICS.values())]


def _line(work: Work) -> str:
    authors = work.authors.replace(" and others", " et al.").replace(" and ", ", ")
    where = f" {work.where}," if work.where else ""
    return f"{authors} {work.title}.{where} {work.year}."


def bibtex(numbers: Iterable[str]) -> str:
    """Entries of the same works."""
    entries = []
    for number in numbers:
        fields = {"eprint": number, "archivePrefix": "arXiv"}
        entries.append(_entry(f"arxiv_{number.replace('.', '_')}", WORKS.get(number), fields))
    entries += [_entry(key, work, {}) for key, work in STATISTICS.items()]
    return "\n".join(entries)


def _entry(key: str, work: Work | None, more: dict[str, str]) -> str:
    fields = dict(more)
    if work is not None:
        fields = {"author": work.authors, "title": f"{{{work.title}}}", "year": str(work.year), **more}
        fields |= {"howpublished": work.where} if work.where else {}
    inner = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@misc{{{key},\n{inner}}}\n"
