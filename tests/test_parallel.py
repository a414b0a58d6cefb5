"""One population on several devices and processes: the same bits as on one device."""

import concurrent.futures
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

import jaxes
from jaxes import parallel
from jaxes.parallel.rendezvous import rendezvous

KEY = jax.random.key(0)
HERE = Path(__file__).parent
STARTED: list[subprocess.Popen] = []
AS_USERS_COMPILE = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0", "JAX_PLATFORMS": "cpu"}


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    for process in STARTED:
        process.kill()
        process.communicate()
    STARTED.clear()


def start(script, *arguments, **environment):
    paths = os.pathsep.join((str(HERE), str(HERE.parent)))
    where = {**os.environ, "PYTHONPATH": paths, **AS_USERS_COMPILE, **environment}
    command = [sys.executable, "-W", "ignore", HERE / script, *map(str, arguments)]
    STARTED.append(subprocess.Popen(command, env=where, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    return STARTED[-1]


def ended(process, timeout=300):
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err[-2000:]
    return out.splitlines()[-1]  # after what libraries print


def free_address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.fixture(scope="module")
def rows():
    """Runs on 1 to 8 devices in strict mode."""
    return json.loads(ended(start("spread_runs.py", XLA_FLAGS="--xla_cpu_max_isa=AVX")))


@pytest.mark.parametrize("kind", ["gaussian", "low_rank"])
def test_any_number_of_devices_gives_the_same_bits(rows, kind):
    """Parameters, normalizer and all fitness, by shard_map, pmap and one executable for all devices."""
    digests = {name: row["sha"] for name, row in rows.items() if name.startswith(kind) and "psum" not in name}
    assert len(digests) == (5 if kind == "gaussian" else 2)
    assert len(set(digests.values())) == 1, digests


def test_one_sum_a_device_agrees_to_rounding(rows):
    one, other = (np.array(rows[f"low_rank, {name}"]["mean"]) for name in ("one device", "4 devices, psum"))
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_without_strict_mode_devices_agree_to_rounding():
    """After two generations, to a few roundings of the learning rate's steps; later a rank may change."""
    one, four = json.loads(ended(start("spread_runs.py", "rounding", XLA_FLAGS=""))).values()
    np.testing.assert_allclose(one, four, atol=1e-5)


def test_scalars_are_all_that_is_sent(rows):
    """Fitness, and the problem's sums of each block; nothing as large as the parameters."""
    sums_of_a_block = 4 * 12  # counts, and moments of two numbers
    assert rows["traffic"]["sent"] <= 16 * rows["traffic"]["members"] + 8 * sums_of_a_block


def together(folder, generations=4, processes=2, devices=2, sigma=(0.1, 0.1), resume=False):
    address = free_address()
    more = ["--resume"] if resume else []
    one = lambda i: start("together.py", address, processes, i, devices, folder, generations, sigma[i], *more)
    return [one(i) for i in range(processes)]


def test_two_processes_and_one_give_the_same_bits(tmp_path):
    """And the first one's checkpoint is gone on with by one process of another number of devices."""
    both = [ended(process) for process in together(tmp_path / "two", 3)]
    assert both[0] == both[1] and both[0].startswith("digest")
    (later,) = together(tmp_path / "two", 5, processes=1, devices=1, resume=True)
    (whole,) = together(tmp_path / "one", 5, processes=1, devices=4)
    assert ended(later) == ended(whole)


@pytest.mark.slow
def test_two_processes_on_the_command_line(tmp_path):
    """The folder is the first one's, and the policy has the bits of one process with as many devices."""
    settings = "gymnax/Pendulum-v1 --blocks 4 --population-size 16 --hidden 8 --max-steps 50 --generations 4 --strict"
    settings = [*settings.split(), "--no-progress", "--no-video"]
    where = {**os.environ, **AS_USERS_COMPILE, "PYTHONPATH": str(HERE.parent), "XLA_FLAGS": ""}

    def train(*more):
        command = [sys.executable, "-m", "jaxes.cli", "train", *settings, *more]
        STARTED.append(subprocess.Popen(command, env=where, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return STARTED[-1]

    address = free_address()
    options = ["--devices", "2", "--out", str(tmp_path / "two"), "--coordinator", address, "--processes", "2"]
    for process in [train(*options, "--process-id", str(i)) for i in range(2)]:
        process.communicate(timeout=300)
        assert process.returncode == 0
    whole = train("--devices", "4", "--out", str(tmp_path / "one"))
    whole.communicate(timeout=300)
    both = [(tmp_path / name / "policy.msgpack").read_bytes() for name in ("one", "two")]
    assert both[0] == both[1]


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_the_run_goes_on(tmp_path):
    first, second = together(tmp_path / "two", 10**6)
    saved = lambda: [int(path.name) for path in (tmp_path / "two" / "checkpoints").glob("*") if path.name.isdigit()]
    while not saved():
        assert first.poll() is None and second.poll() is None
        time.sleep(0.1)
    second.send_signal(signal.SIGKILL)
    began = time.monotonic()
    first.wait(timeout=60)
    assert first.returncode != 0
    assert time.monotonic() - began < 10 + 5
    done = max(saved()) + 3
    both = [ended(process) for process in together(tmp_path / "two", done, resume=True)]
    (whole,) = together(tmp_path / "one", done, processes=1, devices=2)
    assert both == [ended(whole)] * 2


@pytest.mark.slow
def test_processes_with_other_settings_are_told(tmp_path):
    for process in together(tmp_path, sigma=(0.1, 0.2)):
        _, err = process.communicate(timeout=120)
        assert process.returncode == 3
        assert "process 1 differs from process 0 in sigma (here 0." in err


def test_a_large_model_may_be_sharded_too():
    script = """
import jax
jax.config.update("jax_num_cpu_devices", 4)
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec as P
import jaxes
mesh = jaxes.parallel.mesh(parameters=2)
strategy = jaxes.open_es(8, 0.1, blocks=2)
problem = jaxes.problem(lambda p: -jnp.sum((p["w"] - 1) ** 2))
state = strategy.init(jax.random.key(0), {"w": jnp.zeros((8, 16))})
place = lambda x: jax.device_put(x, NamedSharding(mesh, P("parameters") if x.shape == (8, 16) else P()))
step = jax.jit(jaxes.parallel.spread(jaxes.generation(strategy, problem), mesh))
(sharded, _), _ = step((jax.tree.map(place, state), ()))
(whole, _), _ = jax.jit(jaxes.generation(strategy, problem))((state, ()))
assert sharded.mean["w"].addressable_data(0).shape == (4, 16), sharded.mean["w"].sharding
assert float(jnp.abs(jax.device_get(sharded.mean["w"]) - jax.device_get(whole.mean["w"])).max()) < 1e-5
"""
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, env=environment, timeout=300)


def test_training_on_a_mesh_of_this_machine(tmp_path):
    options = {"key": KEY, "generations": 6, "progress": False}
    ends = []
    for mesh in (None, parallel.mesh(1)):
        *_, last = jaxes.fit(jaxes.open_es(8, 0.1, blocks=2), toys.sphere(), {"x": jnp.ones(3)}, mesh=mesh, **options)
        ends.append(last)
    np.testing.assert_allclose(ends[0].params["x"], ends[1].params["x"], rtol=1e-5)
    assert ends[0].metrics["steps"] == ends[1].metrics["steps"] == 48


def mail(service):
    connection, _ = service.accept()
    with connection:
        connection.sendall(b"220 mail")


class TestBadInput:
    def test_mesh(self):
        step = jaxes.generation(jaxes.open_es(8), toys.sphere())
        with pytest.raises(ValueError, match=r"mesh must be a jax\.sharding\.Mesh with an axis 'population', got axes"):
            parallel.spread(step, jax.make_mesh((1,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,)))
        with pytest.raises(ValueError, match="unknown comm 'all'"):
            jaxes.generation(jaxes.open_es(8), toys.sphere(), "all")
        with pytest.raises(ValueError, match=r"devices must be at most the .* that there are, got 999"):
            parallel.mesh(999)
        with pytest.raises(ValueError, match="parameters must divide the 1 devices, got 2"):
            parallel.mesh(1, parameters=2)

    def test_blocks(self):
        mesh = jax.sharding.AbstractMesh((3,), (parallel.AXIS,), axis_types=(jax.sharding.AxisType.Auto,))
        strategy, problem = jaxes.open_es(8, blocks=2), toys.sphere()
        carry = strategy.init(KEY, {"x": jnp.ones(3)}), problem.init(KEY)
        step = jax.shard_map(
            lambda carry: jaxes.generation(strategy, problem)(carry),
            mesh=mesh,
            in_specs=jax.sharding.PartitionSpec(),
            out_specs=jax.sharding.PartitionSpec(),
            check_vma=False,
        )
        with pytest.raises(ValueError, match="blocks must be divisible by the 3 devices of the axis 'population', got"):
            jax.eval_shape(step, carry)

    def test_coordinator(self):
        with pytest.raises(ValueError, match="coordinator must be HOST:PORT or auto, got 'here'"):
            parallel.join("here", 2, 0)
        with pytest.raises(ValueError, match="needs processes and process_id"):
            parallel.join("127.0.0.1:1234", 2)
        with pytest.raises(ValueError, match="process_id must be an int from 0 to 1, got 2"):
            parallel.join("127.0.0.1:1234", 2, 2)
        with pytest.raises(ValueError, match="need a coordinator"):
            parallel.join(None, 2, 0)
        address = free_address()
        with pytest.raises(ConnectionError, match=f"no coordinator at {address} within 1 s"):
            parallel.join(address, 2, 1, timeout=1)
        with pytest.raises(ConnectionError, match=f"processes 1, 2 did not come to {address} within 1 s"):
            parallel.join(address, 3, 0, timeout=1)

    def test_who_meets_there(self):
        """All come; another service answers; an id is taken."""
        host, port = free_address().split(":")
        meet = lambda number, timeout=20: rendezvous(host, int(port), 3, number, timeout)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            assert [future.result() for future in [pool.submit(meet, i) for i in (2, 0, 1)]] == [None] * 3
            alone = pool.submit(meet, 0, 2)
            first = pool.submit(meet, 1, 3)
            time.sleep(0.5)
            with pytest.raises(ValueError, match="process_id 1 must be one of its own, from 1 to 2: it is taken"):
                meet(1, 3)
            with pytest.raises(ConnectionError, match="processes 2 did not come"):
                alone.result()
            with pytest.raises(ConnectionError, match="no coordinator at"):
                first.result()
            with socket.create_server((host, int(port))) as service:
                answer = pool.submit(mail, service)
                with pytest.raises(ConnectionError, match="no coordinator at"):
                    meet(1, 1)
                answer.result()

    def test_strict_after_the_start(self, monkeypatch):
        monkeypatch.setenv("XLA_FLAGS", "")
        jnp.zeros(()).block_until_ready()
        with pytest.raises(RuntimeError, match="strict must be called before JAX starts"):
            jaxes.strict()

    def test_fit(self):
        fit = lambda problem, **options: jaxes.fit(jaxes.open_es(8), problem, {"x": jnp.ones(3)}, key=KEY, **options)
        with pytest.raises(ValueError, match="need a mesh"):
            fit(toys.sphere(), processes=parallel.Processes(2, 0))
        with pytest.raises(ValueError, match="mesh is for problems that run in compiled programs"):
            fit(toys.sphere()._replace(host=True), mesh=parallel.mesh(1))
        with pytest.raises(ValueError, match="problem must run in compiled programs"):
            parallel.block_by_block(jaxes.open_es(8), toys.sphere()._replace(rows=True))
