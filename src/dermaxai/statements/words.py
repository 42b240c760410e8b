"""The words of findings, body sites and diagnoses inside sentences, in English and Russian.

Names in lists are those of the vocabulary, without their glosses in parentheses. Russian findings are given
as a sentence needs them: what agrees with 'образование' and 'расположение' is neuter, a colour is masculine,
and nouns have a genitive, which 'нет' asks for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from dermaxai.types import Language
from dermaxai.vocabulary import Diagnosis, diagnoses

Part = Literal["sign", "look", "distribution", "hue", "beside"]
"""Which sentence a finding belongs to: nouns, adjectives of the lesion, its distribution, colours, and what
is in the photo but not of the skin."""
PARTS: tuple[Part, ...] = ("sign", "look", "distribution", "hue", "beside")


@dataclass(frozen=True, slots=True)
class FindingWords:
    """One finding as sentences say it."""

    part: Part
    name: Mapping[Language, str]
    genitive: str
    """Russian; '' for adjectives of the lesion and its distribution."""


_SIGNS = """
vesicle | vesicle | везикула | везикулы
papule | papule | папула | папулы
macule | macule | пятно | пятна
plaque | plaque | бляшка | бляшки
abscess | abscess | абсцесс | абсцесса
pustule | pustule | пустула | пустулы
bulla | bulla | булла | буллы
patch | patch | обширное пятно | обширного пятна
nodule | nodule | узел | узла
ulcer | ulcer | язва | язвы
crust | crust | корка | корки
erosion | erosion | эрозия | эрозии
excoriation | excoriation | экскориация | экскориации
atrophy | atrophy | атрофия | атрофии
exudate | exudate | экссудат | экссудата
purpura_petechiae | purpura/petechiae | пурпура/петехии | пурпуры/петехий
fissure | fissure | трещина | трещины
induration | induration | уплотнение | уплотнения
xerosis | xerosis | сухость кожи | сухости кожи
telangiectasia | telangiectasia | телеангиэктазия | телеангиэктазии
scale | scale | чешуйки | чешуек
scar | scar | рубец | рубца
sclerosis | sclerosis | склероз | склероза
erythema | erythema | эритема | эритемы
comedo | comedo | комедон | комедона
lichenification | lichenification | лихенификация | лихенификации
poikiloderma | poikiloderma | пойкилодермия | пойкилодермии
wheal | wheal | волдырь | волдыря
burrow | burrow | чесоточный ход | чесоточного хода
cyst | cyst | киста | кисты
pigment_network | pigment network | пигментная сеть | пигментной сети
regression_structures | regression structures | структуры регресса | структур регресса
regression_structure | regression structure | структура регресса | структуры регресса
pigmentation | pigmentation | пигментация | пигментации
blue_whitish_veil | blue whitish veil | бело-голубая вуаль | бело-голубой вуали
vascular_structures | vascular structures | сосудистые структуры | сосудистых структур
streaks | streaks | полосы | полос
dots_and_globules | dots and globules | точки и глобулы | точек и глобул
typical_pigment_network | typical pigment network | типичная пигментная сеть | типичной пигментной сети
atypical_pigment_network | atypical pigment network | атипичная пигментная сеть | атипичной пигментной сети
arborizing_vessels | arborizing vessels | древовидные сосуды | древовидных сосудов
comma_vessels | comma vessels | сосуды в виде запятой | сосудов в виде запятой
hairpin_vessels | hairpin vessels | сосуды в виде шпильки | сосудов в виде шпильки
vessels_within_regression | vessels within regression | сосуды в зоне регресса | сосудов в зоне регресса
wreath_vessels | wreath vessels | сосуды в виде венка | сосудов в виде венка
dotted_vessels | dotted vessels | точечные сосуды | точечных сосудов
linear_irregular_vessels | linear irregular vessels | линейные неправильные сосуды | линейных неправильных сосудов
diffuse_regular_pigmentation | diffuse regular pigmentation | диффузная равномерная пигментация | диффузной равномерной пигментации
diffuse_irregular_pigmentation | diffuse irregular pigmentation | диффузная неравномерная пигментация | диффузной неравномерной пигментации
localized_regular_pigmentation | localized regular pigmentation | локализованная равномерная пигментация | локализованной равномерной пигментации
localized_irregular_pigmentation | localized irregular pigmentation | локализованная неравномерная пигментация | локализованной неравномерной пигментации
regular_streaks | regular streaks | правильные полосы | правильных полос
regular_dots_and_globules | regular dots and globules | правильные точки и глобулы | правильных точек и глобул
irregular_streaks | irregular streaks | неправильные полосы | неправильных полос
irregular_dots_and_globules | irregular dots and globules | неправильные точки и глобулы | неправильных точек и глобул
blue_regression_areas | blue regression areas | голубые зоны регресса | голубых зон регресса
white_regression_areas | white regression areas | белые зоны регресса | белых зон регресса
blue_and_white_regression_areas | blue and white regression areas | голубые и белые зоны регресса | голубых и белых зон регресса
desquamation | desquamation | шелушение | шелушения
hemorrhage | hemorrhage | кровоизлияние | кровоизлияния
keloid | keloid | келоид | келоида
maculopapule | maculopapule | макулопапула | макулопапулы
papulonodule | papulonodule | папулоузел | папулоузла
papulovesicle | papulovesicle | папуловезикула | папуловезикулы
tumor | tumor | опухоль | опухоли
"""  # noqa: E501 - one sign a line
_LOOKS = """
friable | friable | рыхлое
pedunculated | pedunculated | на ножке
exophytic_fungating | exophytic/fungating | экзофитное/грибовидное
warty_papillomatous | warty/papillomatous | бородавчатое/папилломатозное
dome_shaped | dome-shaped | куполообразное
flat_topped | flat topped | с плоской поверхностью
translucent | translucent | полупрозрачное
umbilicated | umbilicated | с пупковидным вдавлением
acuminate | acuminate | остроконечное
pigmented | pigmented | пигментированное
annular | annular | кольцевидное
circumscribed | circumscribed | чётко отграниченное
crusted | crusted | покрытое коркой
eroded | eroded | эрозированное
fissured | fissured | с трещинами
flat | flat | плоское
hyperkeratotic | hyperkeratotic | гиперкератотическое
irregular | irregular | неправильной формы
keratotic | keratotic | кератотическое
lichenoid | lichenoid | лихеноидное
linear | linear | линейное
oval | oval | овальное
polygonal | polygonal | полигональное
raised | raised | приподнятое
reticular | reticular | сетчатое
rough | rough | шероховатое
round | round | округлое
scaly | scaly | шелушащееся
smooth | smooth | гладкое
targetoid | targetoid | мишеневидное
ulcerated | ulcerated | изъязвлённое
verrucous | verrucous | веррукозное
well_defined | well-defined | с чёткими границами
"""
_DISTRIBUTIONS = """
clustered | clustered | скоплением
diffuse | diffuse | диффузное
discrete | discrete | изолированное
disseminated | disseminated | диссеминированное
generalized | generalized | генерализованное
grouped | grouped | сгруппированное
localized | localized | локализованное
perifollicular | perifollicular | перифолликулярное
satellite | satellite | сателлитное
scattered | scattered | рассеянное
symmetric | symmetric | симметричное
"""
_HUES = """
brown_hyperpigmentation | brown | коричневый | коричневого
white_hypopigmentation | white | белый | белого
purple | purple | фиолетовый | фиолетового
yellow | yellow | жёлтый | жёлтого
black | black | чёрный | чёрного
blue | blue | синий | синего
salmon | salmon | лососёвый | лососёвого
gray | gray | серый | серого
pink | pink | розовый | розового
red | red | красный | красного
orange | orange | оранжевый | оранжевого
violaceous | violaceous | лиловый | лилового
"""
_BESIDE = """
purple_pen | purple pen | фиолетовая разметка маркером | фиолетовой разметки маркером
nail | nail | ноготь | ногтя
gel | gel | гель | геля
hair | hair | волосы | волос
orange_sticker | orange sticker | оранжевая наклейка | оранжевой наклейки
dermoscope_border | dermoscope border | чёрная рамка дерматоскопа | чёрной рамки дерматоскопа
"""
_SITES = """
back | on the back | на спине
lower_extremity | on the lower extremity | на нижней конечности
trunk | on the trunk | на туловище
upper_extremity | on the upper extremity | на верхней конечности
abdomen | on the abdomen | на животе
face | on the face | на лице
chest | on the chest | на груди
foot | on the foot | на стопе
neck | on the neck | на шее
scalp | on the scalp | на волосистой части головы
hand | on the hand | на кисти
ear | on the ear | на ушной раковине
genital | in the genital area | в области гениталий
acral | on acral skin | на акральной коже
anterior_torso | on the anterior torso | на передней поверхности туловища
head_neck | in the head and neck area | в области головы и шеи
posterior_torso | on the posterior torso | на задней поверхности туловища
palms_soles | on the palms or soles | на ладонях или подошвах
oral_genital | on the oral or genital mucosa | на слизистой рта или гениталий
lateral_torso | on the lateral torso | на боковой поверхности туловища
forearm | on the forearm | на предплечье
arm | on the arm | на плече
nose | on the nose | на носу
thigh | on the thigh | на бедре
lip | on the lip | на губе
buttocks | on the buttocks | на ягодицах
"""


def _cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def _findings() -> dict[str, FindingWords]:
    tables = zip(PARTS, (_SIGNS, _LOOKS, _DISTRIBUTIONS, _HUES, _BESIDE), strict=True)
    rows = [(part, [*cells, ""]) for part, table in tables for cells in _cells(table)]
    return {name: FindingWords(part, {"en": en, "ru": ru}, of) for part, (name, en, ru, of, *_) in rows}


FINDINGS: Mapping[str, FindingWords] = _findings()
"""By id; every finding of the vocabulary."""
SITES: Mapping[str, Mapping[Language, str]] = {name: {"en": en, "ru": ru} for name, en, ru in _cells(_SITES)}
"""By id, with preposition: 'on the forearm', 'на предплечье'; every site of the vocabulary."""

SILENT = frozenset({"unknown", "miscellaneous"})
"""Labels that say nothing about the skin."""


def is_group(diagnosis: Diagnosis) -> bool:
    """Whether a label stands for many diagnoses, so that it must not be spoken as one."""
    return diagnosis.group == "category" or diagnosis.malignancy in ("mixed", "category")


@cache
def spoken_diagnoses(language: Language, *, groups: bool) -> Mapping[str, str]:
    """Names of all diagnoses, or of all groups of them, by id; no two alike.

    A gloss in parentheses is left out where the name is unique without it.
    """
    chosen = {
        name: one for name, one in diagnoses().items() if is_group(one) is groups and name not in SILENT
    }
    full = {name: one.name[language] for name, one in chosen.items()}
    short = {name: _without_gloss(text).removesuffix(" photos") for name, text in full.items()}
    taken = Counter(short.values()) + Counter(full[name] for name in full if full[name] != short[name])
    return {
        name: short[name] if taken[short[name]] == 1 or short[name] == full[name] else full[name]
        for name in full
    }


def _without_gloss(text: str) -> str:
    """A name without what stands in parentheses.

    >>> _without_gloss("актинический (солнечный) кератоз")
    'актинический кератоз'
    """
    return " ".join(re.sub(r"\([^()]*\)", " ", text).split())


def join_and(names: Sequence[str], word: str) -> str:
    """A list as a sentence has it.

    >>> join_and(["papule", "scale", "crust"], "and")
    'papule, scale and crust'
    """
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


def years(age: int) -> str:
    """An age in Russian.

    >>> years(1), years(22), years(55), years(112)
    ('1 год', '22 года', '55 лет', '112 лет')
    """
    if age % 10 == 1 and age % 100 != 11:
        return f"{age} год"
    if age % 10 in (2, 3, 4) and age % 100 not in (12, 13, 14):
        return f"{age} года"
    return f"{age} лет"
