"""One of several processes that run the same small rollout together, for test_parallel.py.

python together.py COORDINATOR PROCESSES ID DEVICES FOLDER GENERATIONS SIGMA [--resume]
"""

import hashlib
import os
import sys

import jax
import numpy as np
import spread_runs

import jaxes
from jaxes import parallel


def main(coordinator, processes, process_id, devices, folder, generations, sigma, *resume) -> None:
    jaxes.strict()
    jax.config.update("jax_num_cpu_devices", int(devices))
    several = (coordinator, int(processes), int(process_id)) if int(processes) > 1 else ()
    processes = parallel.join(*several, timeout=60, heartbeat=10)
    processes.check_alike({"sigma": float(sigma), "generations": int(generations)})
    strategy, problem, (state, _) = spread_runs.setting("low_rank")
    reports = jaxes.fit(
        strategy,
        problem,
        state.mean,
        key=jax.random.key(3),
        generations=int(generations),
        out=folder,
        resume=bool(resume),
        progress=False,
        chunk_seconds=0.0,
        checkpoint_seconds=0.0,
        mesh=parallel.mesh(),
        processes=processes,
    )
    *_, report = reports
    numbers = (report.state.mean, report.problem_state.normalizer)
    data = b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(numbers))
    processes.leave()
    print("digest", hashlib.sha256(data).hexdigest(), flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(3)
