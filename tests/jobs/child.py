"""A worker without a model, as a child process that tests kill: `python tests/jobs/child.py HOW`.

HOW: 'plain'; 'hang', the first attempt at each job never ends; 'owner', a process that owns such a worker; or
the name of a step of `keeping.keep` at which the process kills itself, once.
"""

import dataclasses
import json
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dermaxai.jobs import keeping, process, worker
from dermaxai.jobs.supervisor import Supervisor
from tests.sample_case import make_case

STEPS = ("save_case", "keep_folder", "finish", "first replace", "second replace", "index_case", "drop_upload")


def do_job(way, _models):
    """A case of the photo that was sent, without looking at it."""
    way.plan(["read", "caption"])
    with way.stage("read"):
        image = way.shelf.read_upload(way.job.case_id)
    way.stages.begin("caption")
    case = dataclasses.replace(make_case(), image=image)
    way.show(case)
    if "hang" in sys.argv[1:] and way.job.attempts == 1:
        time.sleep(1000)
    way.stages.end("caption")
    return case


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(step, mark):
    """Before `step`, where no process did so before: `mark` is the file that remembers."""
    counts = iter(range(1, 100))

    def first(do):
        def instead(*given, **more):
            if not mark.exists():
                mark.touch()
                die()
            return do(*given, **more)

        return instead

    def replaces(*given):
        if step == ("first replace", "second replace")[next(counts) - 1] and not mark.exists():
            mark.touch()
            die()
        return os.replace(*given)

    if step.endswith("replace"):
        keeping.os = type("System", (), {"replace": staticmethod(replaces)})
    elif step == "drop_upload":
        shelf = worker.Shelf
        shelf.drop_upload = first(shelf.drop_upload)
    else:
        setattr(keeping, step, first(getattr(keeping, step)))


def own(command):
    """Own a worker until killed; its number on stdout."""
    from types import SimpleNamespace

    options = SimpleNamespace(**json.loads(sys.stdin.readline()))
    options.models = (SimpleNamespace(name="none", options=()),)
    supervisor = Supervisor(options, command)
    supervisor.start()
    while supervisor.pid is None:
        time.sleep(0.01)
    sys.stdout.write(f"{supervisor.pid}\n")
    sys.stdout.flush()
    time.sleep(1000)


if __name__ == "__main__":
    how = sys.argv[1]
    worker.do_job = do_job
    process.GRACE_SECONDS = 0.2
    worker.Worker._warm_up = lambda self: self.models.tell({"state": "ready", "model": "none"})
    if how == "owner":
        own([sys.executable, __file__, *sys.argv[2:]])
    if how in STEPS:
        kill_at(how, Path(sys.argv[2]))
    process.main()
