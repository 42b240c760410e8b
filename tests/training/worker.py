"""One process of several that train together: python -m tests.training.worker FOLDER ACCUMULATE."""

import sys
from pathlib import Path

import torch

from dermaxai.training.loop import Training
from dermaxai.training.team import AcceleratedTeam
from tests.training.small import job

if __name__ == "__main__":
    torch.set_num_threads(1)
    team = AcceleratedTeam("cpu")
    Training(job(team, accumulate=int(sys.argv[2]), noise=0.1, shift=0.1), Path(sys.argv[1]), team).run()
    torch.distributed.destroy_process_group()
