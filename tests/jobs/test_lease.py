import os
import subprocess
import sys
from datetime import timedelta

import pytest

from dermaxai.jobs.lease import LEASE, is_lost, machine, own_name, started_at
from dermaxai.store.tables import now


@pytest.fixture
def child():
    started = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield started
    started.kill()
    started.wait()
    started.stdin.close()


def name_of(pid):
    return f"{machine()}:{pid}:{started_at(pid)}"


def test_a_living_worker_has_its_job_until_it_is_silent_for_too_long():
    moment = now()
    assert not is_lost(own_name(), moment, moment)
    assert not is_lost(own_name(), moment - LEASE / 2, moment)
    assert is_lost(own_name(), moment - LEASE - timedelta(seconds=1), moment)
    assert is_lost(own_name(), None, moment)


def test_a_dead_worker_of_this_machine_is_known_at_once(child):
    name, moment = name_of(child.pid), now()
    assert not is_lost(name, moment, moment)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # Dead, and not yet buried.
    assert is_lost(name, moment, moment)
    child.wait()
    assert is_lost(name, moment, moment)


def test_another_process_with_the_same_number_is_not_the_worker():
    host, pid, start = own_name().split(":")
    assert is_lost(f"{host}:{pid}:{int(start) - 1}", now(), now())


def test_of_another_machine_only_the_signs_of_life_are_known():
    moment = now()
    assert not is_lost("elsewhere:1:1", moment, moment)
    assert is_lost("elsewhere:1:1", moment - LEASE * 2, moment)
