"""A step of a rollout by its parts: the policy of dense members by `vmap` and as one program, with and without threads.

python benchmarks/lanewise_policies.py [ENVIRONMENT ...]; writes benchmarks/results/lanewise_policies.json.
Every one of 64 lanes has a member of its own. It wants a machine that does nothing else.
"""

import argparse
import functools

import _measure
import jax

import jaxes
from jaxes import rl
from jaxes.lanewise import threads

LANES = 64
KEY = jax.random.key(0)


def parts(name: str, hidden: int, turns: int) -> dict:
    """Compiled loops of some steps by what they do, with an object of microseconds a step each."""
    env = jaxes.envs.make(f"brax/{name}")
    policy = rl.mlp(env, hidden=(hidden, hidden))
    members = jax.vmap(policy.init)(jax.random.split(KEY, LANES))
    start = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(1), LANES))
    one = lambda member, seen: policy.act(member, (), seen)[0]
    by_vmap = jax.vmap(one)
    action = by_vmap(members, start.observation)

    def loop(turn, first):
        run = lambda members, first: jax.lax.scan(lambda c, _: (turn(members, c), None), first, length=turns)[0]
        return functools.partial(jax.jit(run).lower(members, first).compile(), members, first)

    calls = {}
    for how, enough in (("one thread", 10**12), ("threads", threads.ENOUGH)):
        kept, threads.ENOUGH = threads.ENOUGH, enough
        step = jax.vmap(jaxes.lanewise(env.step))
        program = jax.vmap(jaxes.lanewise(one))
        calls[f"physics, {how}"] = loop(lambda _, state, step=step: step(state, action), start)
        for what, act in (("vmap", by_vmap), ("program", program)):
            seen = lambda members, x, act=act: x + 1e-3 * act(members, x)[:, :1]
            if (what, how) != ("vmap", "threads"):
                calls[f"policy by {what}, {how if what == 'program' else 'XLA'}"] = loop(seen, start.observation)
            both = lambda members, s, act=act, step=step: step(s, act(members, s.observation))
            calls[f"both, policy by {what}, {how}"] = loop(both, start)
        threads.ENOUGH = kept
    return calls


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environments", nargs="*", default=["hopper", "ant"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--turns", type=int, default=100)
    options = parser.parse_args()
    figures = {}
    for name in options.environments:
        for hidden in (32, 64):
            rows = _measure.interleaved(parts(name, hidden, options.turns), options.rounds)
            for what, row in rows.items():
                row |= {"microseconds a step": row["min"] / options.turns * 1e6}
                print(f"{name}, {hidden}-{hidden}: {row['microseconds a step']:6.1f}  {what}", flush=True)
            figures[f"{name}, {hidden}-{hidden}"] = rows
    _measure.save("lanewise_policies", figures)


if __name__ == "__main__":
    main()
