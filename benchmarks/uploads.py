"""Hostile and large files: seconds and memory of the process that decodes them, and photos sent at once.

    python -m benchmarks.uploads [--files 2000] [--clients 16] [--examples 0]

First, files built to take time or memory, each in a fresh decoder: seconds by the clock, processor seconds
and peak memory of that process (starting it included), and what it answered. Then `--files` damaged photos
through a whole server in this process: answers by status, the slowest, growth of the server. Then `--clients`
that send a photo at once. `--examples N` runs the description of the API against the server with N tries per
call and mode (tests/api/test_schema.py).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

import anyio
import numpy as np
from PIL import Image
from tests.api.hostile_files import bombs, chunk, jpeg_scans, mutations, png_of, saved, small_photo
from tests.api.test_fuzz_uploads import upload

from dermaxai.api.app import create_app
from dermaxai.api.decoding import Decoders
from dermaxai.api.state import ServeOptions
from dermaxai.errors import DermaXAIError
from dermaxai.images import Limits

SIDE = 10_000


def large_files():
    """Photos of the largest size that is read, in the formats that need most memory."""
    flat = np.zeros((SIDE, SIDE), np.uint8)
    deep = zlib.compress(b"\0" * (SIDE * (1 + 8 * SIDE)), 9)
    yield "JPEG, 100 million pixels", saved(Image.fromarray(flat).convert("RGB"), "JPEG")
    yield "JPEG CMYK, 100 million pixels", saved(Image.fromarray(flat).convert("CMYK"), "JPEG")
    yield "PNG RGBA of 16 bit, 100 million pixels", png_of(SIDE, SIDE, pixels=deep, depth=(16, 6))
    yield "PNG palette with alpha", saved(Image.fromarray(flat, "P"), "PNG", transparency=bytes(range(256)))
    yield "TIFF LZW, 100 million pixels", saved(Image.fromarray(flat), "TIFF", compression="tiff_lzw")
    yield "TIFF grey of 16 bit", saved(Image.fromarray(flat.astype(np.uint16)), "TIFF")[: 49 * 10**6]
    yield "PNG, 49 000 chunks", png_of(64, 64, chunk(b"abCd", b"") * 49_000)
    yield "JPEG, 20 scans of 98 million pixels", jpeg_scans(9_900, 8)
    yield "JPEG, 1 900 scans of a million", jpeg_scans(1_000, 1_890)


def time_decoders():
    for name, data in [*large_files(), *bombs().items()]:
        decoders, begun = Decoders(), time.perf_counter()
        try:
            told = "read " + "x".join(map(str, decoders.read(data, Limits()).pixels.shape[:2]))
        except DermaXAIError as error:
            told = type(error).__name__
        seconds = time.perf_counter() - begun
        peak = peak_of(decoders)
        decoders.close()
        print(f"{name:42s} {len(data) / 1e6:7.2f} MB {seconds:7.2f} s {peak:>18s}  {told}", flush=True)


def peak_of(decoders):
    """Processor seconds and highest memory of the one decoder that waits; '-' where it was ended."""
    for child in decoders._idle:
        home = Path(f"/proc/{child.pid}")
        memory = int((home / "status").read_text().split("VmHWM:")[1].split()[0]) / 1e3
        ticks = (home / "stat").read_text().rsplit(")", 1)[1].split()[11:13]
        return f"{sum(map(int, ticks)) / os.sysconf('SC_CLK_TCK'):.1f} s  {memory:.0f} MB"
    return "-"


async def send_damaged(app, count):
    found, slowest = Counter(), 0.0
    for _, data in mutations(count, seed=1):
        begun = time.perf_counter()
        answered = await upload(app, data)
        slowest = max(slowest, time.perf_counter() - begun)
        found[answered.status] += 1
    return found, slowest


async def send_at_once(app, clients):
    data = saved(small_photo(side=(1_600, 1_200)), "JPEG")
    found = Counter()

    async def one():
        answered = await upload(app, data)
        found[answered.status] += 1

    begun = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(clients):
            group.start_soon(one)
    return found, time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--examples", type=int, default=0)
    asked = parser.parse_args()
    time_decoders()
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(ServeOptions(cases=Path(folder), per_minute=0, queue=10**6))
        anyio.run(send_damaged, app, 20)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.perf_counter()
        found, slowest = anyio.run(send_damaged, app, asked.files)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
        print(
            f"{asked.files} damaged photos: {dict(sorted(found.items()))}, "
            f"{time.perf_counter() - begun:.1f} s, slowest {slowest:.2f} s, server grew by {grown:.0f} MB"
        )
        found, seconds = anyio.run(send_at_once, app, asked.clients)
        print(f"{asked.clients} photos of 1600 x 1200 at once: {dict(found)}, {seconds:.2f} s")
    if asked.examples:
        environment = os.environ | {"DERMAXAI_SCHEMA_EXAMPLES": str(asked.examples)}
        command = [sys.executable, "-m", "pytest", "-q", "tests/api/test_schema.py"]
        raise SystemExit(subprocess.run(command, env=environment, check=False).returncode)


if __name__ == "__main__":
    main()
