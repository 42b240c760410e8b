"""Six datasets on disk that overlap as the real ones do, by keys, by files and by pictures alone."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from dermaxai.data.reading import DatasetFolder
from dermaxai.data.samples import Sample
from tests.data.copies import CHANGES, change, draw_skin, encode

SIDE = 96


@dataclass
class Readers(dict):
    """Stands for `READERS`: names and functions."""

    rows: dict = field(default_factory=dict)

    def __getitem__(self, name):
        return self.rows[name]

    def load(self, name):
        return lambda folder: iter(self.rows[name])


class Mixture:
    """Photos on disk, samples by dataset, and pairs of ids that must never be apart."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.samples: dict[str, list[Sample]] = {}
        self.planted: list[tuple[str, str]] = []
        self._pixels = {}
        self._lesions()
        self._clinical()
        self._web()

    @property
    def readers(self):
        return Readers(rows=self.samples)

    @property
    def sources(self):
        return [(name, DatasetFolder(self.root / name)) for name in self.samples]

    def picture(self, number):
        if number not in self._pixels:
            self._pixels[number] = draw_skin(number, SIDE)
        return self._pixels[number]

    def add(self, dataset, name, data, *groups, **facts):
        folder = self.root / dataset
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.jpg").write_bytes(data)
        rows = self.samples.setdefault(dataset, [])
        place = f"{dataset}.csv, line {len(rows) + 2}"
        rows.append(
            Sample(f"{dataset}/{name}", dataset, folder / f"{name}.jpg", place, groups=groups, **facts)
        )

    def file(self, number, quality=90):
        return encode(Image.fromarray(self.picture(number)), quality)

    def _lesions(self):
        """HAM and BCN, and ISIC 2019 that shows both again: the same files, or encoded anew."""
        for number in range(24):
            image, lesion = f"ISIC_{number:07}", f"ham10000/lesion/HAM_{number // 2}"
            self.add("ham10000", image, self.file(number), lesion, f"isic/{image}", modality="dermoscopic")
        for number in range(24, 36):
            image, lesion = f"ISIC_{number:07}", f"bcn20000/lesion/BCN_{number // 3}"
            self.add("bcn20000", image, self.file(number), lesion, f"isic/{image}", modality="dermoscopic")
        for number in range(36):
            home = "ham10000" if number < 24 else "bcn20000"
            image, keys = f"ISIC_{number:07}", self.samples[home][number % 24].groups
            data = self.file(number, 90 if number % 2 else 70)
            official = "test" if number % 7 == 0 else "train"
            self.add("isic2019", image, data, *keys, official_split=official, modality="dermoscopic")
            self.planted.append((f"isic2019/{image}", f"{home}/{image}"))

    def _clinical(self):
        """Fitzpatrick17k, and SkinCAP that numbers its photos anew."""
        for number in range(100, 124):
            name = hashlib.md5(str(number).encode()).hexdigest()
            self.add("fitzpatrick17k", name, self.file(number), f"fitzpatrick17k/{name}")
            if number % 2:
                data = change(self.picture(number), "larger")
                self.add("skincap", str(number), data, f"fitzpatrick17k/{name}")
                self.planted.append((f"skincap/{number}", f"fitzpatrick17k/{name}"))

    def _web(self):
        """Derm1M: frames of one film, and copies of everybody's photos that nothing but the picture tells."""
        for number in range(200, 224):
            self.add("derm1m", f"own{number}", self.file(number), f"derm1m/youtube/film{number // 4}")
        stolen = [*self.samples["ham10000"][:16:2], *self.samples["fitzpatrick17k"][:16:2]]
        for place, (sample, name) in enumerate(zip(stolen, [*CHANGES] * 2, strict=True)):
            number = 2 * place if place < 8 else 100 + 2 * (place - 8)
            part = "test" if place % 2 else "train"
            self.add("derm1m", f"web{place}", change(self.picture(number), name), official_split=part)
            self.planted.append((f"derm1m/web{place}", sample.id))


def few(root, *changes):
    """A mixture of a few skincap rows, changed."""
    mixture = Mixture.__new__(Mixture)
    mixture.root, mixture.samples, mixture.planted, mixture._pixels = root, {}, [], {}
    for number, facts in enumerate(changes):
        mixture.add("skincap", str(number), mixture.file(number))
        mixture.samples["skincap"][-1] = replace(mixture.samples["skincap"][-1], **facts)
    return mixture
