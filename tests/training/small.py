"""A training small enough to run whole in a second: photos in memory, captions that can be learned."""

import hashlib
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from dermaxai.data.appearance import Appearance
from dermaxai.data.rows import arrow, scan_columns, to_columns
from dermaxai.data.samples import Sample, SampleCaption, Sentence
from dermaxai.data.scanning import Scan
from dermaxai.data.writing import ManifestWriter, manifest_schema
from dermaxai.features.key import FeatureKey
from dermaxai.features.store import FeatureCache
from dermaxai.features.writing import FeatureWriter
from dermaxai.training.batches import Batches, BatchPlan, Epochs, balanced
from dermaxai.training.loop import Job, Rhythm
from dermaxai.training.material import DrawnFeed, Reading
from dermaxai.training.steps import StepPlan
from dermaxai.training.validation import Validation
from tests.captioner import tiny

PHOTOS = 24


class MemoryMaterial:
    """Each photo has an English caption; every second one a Russian one as well."""

    width = tiny.WIDTH

    def __init__(self, photos=PHOTOS, *, every=False):
        self.patches = torch.randn(
            photos, tiny.PATCHES, tiny.WIDTH, generator=torch.Generator().manual_seed(9)
        )
        self.every = every
        self.lengths = np.array([len(tiny.ENGLISH[row % 3]) for row in range(photos)])

    def read(self, draws):
        return self._reading(draws.rows, draws.numbers)

    def plain(self, rows):
        return self._reading(rows, rows)

    def _reading(self, rows, numbers):
        told = []
        for place, row in enumerate(rows):
            told.append((tiny.ENGLISH[row % 3], "en", place))
            if self.every or row % 2:
                told.append((tiny.RUSSIAN[row % 3], "ru", place))
        texts, languages, photos = zip(*told, strict=True)
        return Reading(self.patches[rows], np.asarray(numbers), texts, languages, photos)


def without_dropout(module):
    """Random choices of dropout hang on the process; all others do not."""
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        elif isinstance(getattr(part, "dropout", None), float):
            part.dropout = 0.0
    return module


def job(
    team, *, seed=0, rhythm=None, batch=8, accumulate=1, steps=12, mode="bridge+lora", still=True, **changes
):
    """A job over `MemoryMaterial`; `changes` are fields of `StepPlan`."""
    made = tiny.captioner(max_tokens=40)
    material = MemoryMaterial()
    rows = np.arange(PHOTOS)
    plan = BatchPlan(batch=batch, accumulate=accumulate, seed=seed)
    values = {"rates": (3e-3, 3e-3, 3e-3), "warmup": 2, "seed": seed, **changes}
    return Job(
        captioner=without_dropout(made) if still else made,
        mode=mode,
        feed=DrawnFeed(
            Batches(Epochs(balanced(rows, [""] * PHOTOS, 0.0), (seed, 0)), plan, material.lengths), material
        ),
        check=Validation(material, rows[:6], team),
        step=StepPlan(steps=steps, **values),
        made_from={"seed": str(seed), "batch": str(batch)},
        rhythm=rhythm or Rhythm(save_every=4, check_every=4, log_every=1),
        epoch=PHOTOS / batch,
    )


def write_recipe_world(folder, *, photos=30):
    """A manifest, a cache of features, a T5 and a recipe that names them; gives the recipe's path."""
    write_manifest(folder / "manifest.parquet", photos)
    write_cache(folder / "features", photos)
    tiny.write_t5(folder / "t5", "mt5")
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(folder=folder.as_posix()), encoding="utf-8")
    return path


def sha256_of(row):
    return hashlib.sha256(str(row).encode()).hexdigest()


def samples(photos, folder=None):
    """Photos of two datasets, the second with real captions; files in `folder`, if there are any."""
    for row in range(photos):
        real = SampleCaption("en", (Sentence("A dark papule.", "author"),), "caption")
        yield Sample(
            id=f"{'skincap' if row % 3 == 0 else 'ham10000'}/{row}",
            dataset="skincap" if row % 3 == 0 else "ham10000",
            path=folder and folder / f"{row}.png",
            place=f"table.csv, line {row + 2}",
            licence="CC BY-NC 4.0" if row % 3 else "CC BY 4.0",
            captions=(real,) if row % 3 == 0 else (),
            diagnosis="melanoma" if row % 2 else "dermatofibroma",
            label="mel" if row % 2 else "df",
            modality="dermoscopic",
            sha256=sha256_of(row),
        )


def write_photos(folder, photos):
    for row in range(photos):
        pixels = np.random.default_rng(row).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{row}.png")


def write_manifest(path, photos, folder=None):
    rows = list(samples(photos, folder))
    roots = {"ham10000": path.parent, "skincap": path.parent}
    scans = [Scan(one.sha256, 224, 224, None, APPEARANCE) for one in rows]
    columns = [*to_columns(rows, roots).columns, *scan_columns(scans)]
    split = ["validation" if row % 5 == 4 else "train" for row in range(photos)]
    pa = arrow()
    texts = [[f"{row:016x}" for row in range(photos)], split, [""] * photos]
    batch = pa.record_batch(
        [*columns, *(pa.array(one, pa.string()) for one in texts)], schema=manifest_schema()
    )
    with ManifestWriter(path, roots) as writer:
        writer.write(batch)
        writer.finish()


def write_cache(folder, photos, *, views=2, **changes):
    """Args: changes, fields of the key."""
    key = FeatureKey(
        encoder="demo", weights_sha256="ab" * 32, preprocessing="cd" * 32, precision="float32",
        layer="patches", pooling="all", rows=3, columns=3, width=tiny.WIDTH, dtype="float16",
        augmentation="none", seed=0,
    )  # fmt: skip
    key = replace(key, **changes)
    cache = FeatureCache.create(folder, key)
    with FeatureWriter(cache) as writer:
        for view in range(views):
            features = torch.randn(
                photos, key.tokens, key.width, generator=torch.Generator().manual_seed(view)
            )
            named = [sha256_of(row) for row in range(photos)]
            writer.append(named, [view] * photos, features, [0.4] * photos if view else None)


APPEARANCE = Appearance(0.2, 0.2, 1.3, (("dark brown", 0.8),), 30.0, 0.0)
RECIPE = """
[data]
manifest = "{folder}/manifest.parquet"

[features]
cache = "{folder}/features"

[encoder]
name = "demo"

[captioner]
bridge = "tiny"
sizes = {{ hidden = 16, layers = 2, heads = 2, queries = 4, dropout = 0.0 }}
t5 = "{folder}/t5"
max_tokens = 40

[captioner.languages]
en = {{ decoder_prefix = "<en>" }}
ru = {{ decoder_prefix = "<ru>" }}

[captioner.adapters.default]
rank = 2
dropout = 0.0

[training]
steps = 6
batch = 4
rates = {{ qformer = 3e-3, projection = 3e-3, lora = 3e-3 }}
warmup = 2
save_every = 3
check_every = 3
log_every = 1
"""
