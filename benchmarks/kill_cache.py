"""Is a cache of features whole after its writer was killed at any moment?

    python -m benchmarks.kill_cache [--rounds 20] [--folder PLACE] [--seed 0]

Each round a child process goes on writing batches, tells each one that is said to be on the disk, and is
killed (SIGKILL) after a random time. Then everything is read: what was told must be there, what is there must
be right to the last bit, and nothing beyond the batch under way may be missing. A last writer goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import struct
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from dermaxai.features import FeatureCache, FeatureKey, FeatureWriter

BATCH = 24
SHARD_BYTES = 100 * 49 * 384 * 2
"""A new shard every fourth batch or so."""
LONGEST = 0.4
"""Seconds until a writer is killed."""
KEY = FeatureKey(
    encoder="none", weights_sha256="0" * 64, preprocessing="0" * 64, precision="float32", layer="patches",
    pooling="7x7", rows=7, columns=7, width=384, dtype="float16", augmentation="none", seed=0,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Round:
    """What one killed writer left."""

    told: int
    """Records that it had said to be on the disk."""
    found: int
    """Records that are there."""
    wrong: int
    """Records whose numbers or checksums are not those that were written."""
    tail: int
    """Bytes that lie behind the last sound entry: the batch under way."""

    @property
    def whole(self) -> bool:
        return self.told <= self.found <= self.told + BATCH and not self.wrong


def name_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def features_of(first: int, count: int) -> torch.Tensor:
    """Values that say which record they are of."""
    numbers = torch.arange(first, first + count)[:, None, None]
    return ((numbers * 31 + torch.arange(KEY.tokens * KEY.width).reshape(KEY.tokens, -1)) % 2039).float()


def write_forever(folder: Path, pipe: int) -> None:
    cache = FeatureCache.open(folder, KEY)
    count = len(cache)
    with FeatureWriter(cache, shard_bytes=SHARD_BYTES) as writer:
        while True:
            names = [name_of(number) for number in range(count, count + BATCH)]
            writer.append(names, [0] * BATCH, features_of(count, BATCH))
            count += BATCH
            os.write(pipe, struct.pack("<q", count))


def kill_one(folder: Path, seconds: float) -> int:
    """How many records the child had told when it was killed."""
    before = len(FeatureCache.open(folder, KEY))
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            write_forever(folder, writing)
        finally:
            os._exit(1)
    os.close(writing)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as stream:
        told = stream.read()
    if not os.WIFSIGNALED(status):
        raise SystemExit("the writer ended by itself")
    return struct.unpack_from("<q", told, len(told) - 8)[0] if told else before


def look(folder: Path, told: int) -> Round:
    cache = FeatureCache.open(folder, KEY)
    found, wrong = len(cache), len(cache.check())
    positions = cache.locate([name_of(number) for number in range(found)])
    wrong += int((positions < 0).sum())
    for first in range(0, found, BATCH):
        part = positions[first : first + BATCH]
        if (part >= 0).all():
            wrong += int((cache.read(part).float() != features_of(first, len(part))).flatten(1).any(1).sum())
    return Round(told, found, wrong, cache.bytes - found * (cache.record + 56))


def run(rounds: int, folder: Path, seed: int, longest: float = LONGEST) -> list[Round]:
    torch.set_num_threads(1)  # a forked child must not wait for threads that it does not have
    draw, results = random.Random(seed), []
    place = FeatureCache.create(folder, KEY).folder
    for _ in range(rounds):
        results.append(look(place, kill_one(place, draw.uniform(0.01, longest))))
    cache = FeatureCache.open(place, KEY)
    with FeatureWriter(cache, shard_bytes=SHARD_BYTES) as writer:
        writer.append([name_of(len(cache))], [0], features_of(len(cache), 1))
    results.append(look(place, results[-1].found + 1))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        results = run(arguments.rounds, Path(folder), arguments.seed)
    print("round   told  found  wrong  bytes behind the last entry")
    for number, entry in enumerate(results):
        print(f"{number:5} {entry.told:6} {entry.found:6} {entry.wrong:6} {entry.tail:9}")
    cut = sum(entry.tail > 0 for entry in results)
    print(f"{sum(entry.whole for entry in results)} of {len(results)} whole; {cut} killed within a batch")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(entry) for entry in results], indent=1) + "\n")
    if not all(entry.whole for entry in results) or results[-1].tail:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
