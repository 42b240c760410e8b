"""Speed, memory and share of the peak of the steps between two records of a log."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch

from dermaxai.training.arithmetic import Arithmetic, peak_of
from dermaxai.training.steps import Outcome, Phase, Team

_STATUS = Path("/proc/self/status")


def memory_megabytes() -> float:
    """What this process holds in memory, 10^6 bytes, pages of mapped feature files not counted.

    Where the system does not say, the most it ever held.
    """
    if _STATUS.is_file():
        for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024 / 1e6
    import resource  # not there on Windows

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6


@final
class Meter:
    """Counts steps until a record is taken."""

    def __init__(self, arithmetic: Arithmetic, team: Team, *, dtype: torch.dtype = torch.float32) -> None:
        self._arithmetic, self._team = arithmetic, team
        self._peak: float | None = None
        if team.device.type == "cuda":
            name = torch.cuda.get_device_name(team.device)
            self._peak = peak_of(name, bfloat16=dtype == torch.bfloat16)
        self._steps, self._tokens, self._operations = 0, 0, 0.0

    def add(self, outcome: Outcome, *, patches: int) -> None:
        """Count a step whose photos have so many patches each."""
        self._steps += 1
        self._tokens += outcome.tokens
        self._operations += self._arithmetic.step(
            patches=patches * outcome.photos,
            photos=outcome.photos,
            texts=outcome.texts,
            tokens=outcome.tokens,
        )

    def record(self, outcome: Outcome, seconds: Mapping[Phase, float]) -> dict[str, Any]:
        """What the last step did, and how the steps since the last record went; counting begins anew.

        'flops' are operations per second of all processes; 'flops_share' is None where the peak is unknown.
        """
        total = sum(seconds.values()) or 1e-9
        speed = self._operations / total
        record = {
            "loss": outcome.loss,
            "tokens": outcome.tokens,
            "photos": outcome.photos,
            "texts": outcome.texts,
            "tokens_per_second": round(self._tokens / total, 1),
            "seconds": round(total / max(self._steps, 1), 5),
            "learning_rate": outcome.rates,
            "gradient_norm": outcome.gradient_norm,
            "shares": {name: round(one / total, 4) for name, one in seconds.items()},
            "memory_mb": round(memory_megabytes(), 1),
            "flops": speed,
        }
        if self._team.device.type == "cuda":
            record["device_memory_mb"] = round(torch.cuda.max_memory_allocated(self._team.device) / 1e6, 1)
            record["flops_share"] = speed / self._peak / self._team.world if self._peak else None
        self._steps, self._tokens, self._operations = 0, 0, 0.0
        return record
