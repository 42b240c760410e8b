"""The sentences of captions of any dataset, the plainest wording first; `{x}` is where the facts go.

No wording of one kind of sentence begins as one of another kind, so that each is told by its beginning.
The sentences of outline, measured colours and diagnosis are those of `dermaxai.statements`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from dermaxai.types import Language

Kind = Literal[
    "modality",
    "site",
    "site name",
    "sign",
    "no sign",
    "look",
    "no look",
    "distribution",
    "no distribution",
    "hue",
    "no hue",
    "beside",
    "no beside",
    "diagnosis",
    "group",
    "other",
    "others",
    "other group",
    "other groups",
]

ENGLISH: Mapping[Kind, Sequence[str]] = {
    "modality": ("{x} photo.", "This is a {x} photo.", "A {x} photo."),
    "site": ("Located {x}.", "The location is {x}."),
    "site name": ("Site: {x}.",),
    "sign": ("Findings: {x}.", "Visible findings: {x}.", "Signs: {x}."),
    "no sign": ("No {x}.", "There is no {x}.", "Without {x}."),
    "look": ("The lesion looks {x}.", "It looks {x}.", "Appearance: {x}."),
    "no look": ("The lesion does not look {x}.", "It does not look {x}.", "Appearance: not {x}."),
    "distribution": ("Distribution: {x}.", "The distribution is {x}.", "Arrangement: {x}."),
    "no distribution": ("Distribution: not {x}.", "The distribution is not {x}.", "Arrangement: not {x}."),
    "hue": ("Colour noted: {x}.", "The colour noted is {x}."),
    "no hue": ("No {x} colour.", "There is no {x} colour."),
    "beside": ("Also in the photo: {x}.", "The photo also shows {x}."),
    "no beside": ("No {x} in the photo.", "There is no {x} in the photo."),
    "group": (
        "Possible diagnosis group: {x}.",
        "A possible group of diagnoses is {x}.",
        "Diagnosis group to consider: {x}.",
    ),
    "other": ("Another possible diagnosis: {x}.", "Another diagnosis to consider: {x}."),
    "others": ("Other possible diagnoses: {x}.", "Other diagnoses to consider: {x}."),
    "other group": ("Another possible diagnosis group: {x}.",),
    "other groups": ("Other possible diagnosis groups: {x}.",),
}
RUSSIAN: Mapping[Kind, Sequence[str]] = {
    "modality": ("{x} снимок.", "Это {x} снимок.", "Вид снимка: {x}."),
    "site": ("Расположено {x}.", "Находится {x}."),
    "site name": ("Локализация: {x}.",),
    "sign": ("Признаки: {x}.", "Видимые признаки: {x}.", "На снимке видны признаки: {x}."),
    "no sign": ("Нет {x}.", "Не видно {x}.", "На снимке не видно {x}."),
    "look": ("На вид образование {x}.", "По виду оно {x}.", "Вид: {x}."),
    "no look": ("На вид образование не {x}.", "По виду оно не {x}.", "Вид: не {x}."),
    "distribution": ("Расположение: {x}.", "Расположение {x}.", "Характер расположения: {x}."),
    "no distribution": ("Расположение: не {x}.", "Расположение не {x}.", "Характер расположения: не {x}."),
    "hue": ("Цвет на снимке: {x}.", "Отмечен цвет: {x}."),
    "no hue": ("Нет {x} цвета.", "Не видно {x} цвета."),
    "beside": ("Также на снимке: {x}.", "Кроме того, на снимке: {x}."),
    "no beside": ("На снимке нет {x}.", "Снимок без {x}."),
    "group": (
        "Возможная группа диагнозов: {x}.",
        "Вероятная группа диагнозов: {x}.",
        "Группа диагнозов для рассмотрения: {x}.",
    ),
    "other": ("Другой возможный диагноз: {x}.", "Другой вероятный диагноз: {x}."),
    "others": ("Другие возможные диагнозы: {x}.", "Другие вероятные диагнозы: {x}."),
    "other group": ("Другая возможная группа диагнозов: {x}.",),
    "other groups": ("Другие возможные группы диагнозов: {x}.",),
}
TEMPLATES: Mapping[Language, Mapping[Kind, Sequence[str]]] = {"en": ENGLISH, "ru": RUSSIAN}

MODALITIES: Mapping[str, Mapping[Language, str]] = {
    "dermoscopic": {"en": "dermoscopic", "ru": "дерматоскопический"},
    "clinical": {"en": "clinical", "ru": "клинический"},
}
