"""A fleet of Ray actors: the numbers of one machine, also when a machine is lost."""

import os
import threading
import time
import warnings

import pytest
from test_rl_host import assert_same, generations, walk

from jaxes.rl.host import engine, fleet

ray = pytest.importorskip("ray")


@pytest.fixture(autouse=True)
def foreign_warnings():
    """Ray warns of its own accord."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def cluster():
    """Two machines of two CPUs each, both of them processes here."""
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")])
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    made.second = made.add_node(num_cpus=2)
    yield made
    ray.shutdown()
    made.shutdown()


def test_its_numbers_are_those_of_one_machine(cluster):
    here = generations(walk(), workers=0, lanes=16)
    assert_same(here, generations(walk(), lanes=16, workers=3, ray=cluster.address))


@pytest.fixture(autouse=True)
def free():
    """Every test has all CPUs of the cluster."""
    yield
    for pool in engine._pools.values():
        pool.close()
    engine._pools.clear()
    time.sleep(1.0)


@pytest.mark.slow
def test_a_lost_machine_costs_its_episodes_only(cluster):
    here = generations(walk("slow"), 1, workers=0, lanes=4)

    def kill():
        time.sleep(1.5)
        cluster.remove_node(cluster.second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    threads = [generations(walk("slow"), 1, lanes=4, workers=4, ray=cluster.address)]  # all actors have started
    killer.start()
    threads.append(generations(walk("slow"), 1, lanes=4, workers=4, ray=cluster.address))
    killer.join()
    assert_same(here, threads[0])
    assert_same(here, threads[1])
    (used,) = (pool for pool in engine._pools.values() if pool.workers)
    assert 1 <= used.lost <= 2


def test_an_address_where_nobody_answers_is_told():
    if ray.is_initialized():
        ray.shutdown()
    with pytest.raises(ConnectionError, match=r"no Ray cluster answers at '127\.0\.0\.1:1'"):
        fleet.Fleet("127.0.0.1:1")
