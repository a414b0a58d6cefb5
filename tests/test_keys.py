"""Streams of randomness: no two of them share a key."""

import collections
import itertools
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from programs import quick

import jaxes
from jaxes import noise, rl
from jaxes.support import keys
from jaxes.support.keys import Stream

KEY = jax.random.key(11)
SAMPLERS = ("bernoulli", "bits", "categorical", "choice", "gumbel", "normal", "permutation", "randint", "uniform")
OURS = (str(Path(jaxes.__file__).parent), str(Path(__file__).parent))


def code_that_draws():
    """File and line, in the library or the tests, of the call of a sampler."""
    frame = sys._getframe(2)
    while not frame.f_code.co_filename.startswith(OURS):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


@pytest.fixture
def draws(monkeypatch):
    """{key: the lines of code that drew from it}, filled while programs run that are traced in the test."""
    seen = collections.defaultdict(set)

    def watched(sampler):
        def draw(key, *args, **options):
            line = code_that_draws()
            jax.debug.callback(lambda data: seen[tuple(np.asarray(data).tolist())].add(line), jax.random.key_data(key))
            return sampler(key, *args, **options)

        return draw

    for name in SAMPLERS:
        monkeypatch.setattr(jax.random, name, watched(getattr(jax.random, name)))
    return seen


def lines_of(draws):
    jax.effects_barrier()
    shared = {key: lines for key, lines in draws.items() if len(lines) > 1}
    assert not shared, f"drawn from the same key: {list(shared.values())[:3]}"
    return set().union(*draws.values())


def test_names_have_words_of_their_own_that_no_number_reaches():
    words = [int(name) for name in Stream.__members__.values()]
    assert len(Stream.__members__) == len(set(words)) == len(Stream)
    assert all(keys.LARGEST_NUMBER <= word < 2**31 for word in words)


def test_later_episodes_have_keys_that_no_environment_makes():
    data = lambda key: tuple(np.asarray(jax.random.key_data(key)).tolist())
    made = {data(key) for key in jax.random.split(KEY, 16)} | {data(jax.random.fold_in(KEY, i)) for i in range(16)}
    later = [keys.of_episode(KEY, jnp.int32(i)) for i in range(1, 16)]
    actions = [keys.of_action(key, t) for key, t in itertools.product([KEY, *later], range(16))]
    ours = {data(key) for key in [*later, *actions]}
    assert len(ours) == 15 + 16 * 16
    assert not ours & made
    assert data(keys.of_episode(KEY, jnp.int32(0))) == data(KEY)


def chancy():
    """An environment that splits its key as many do: reset draws from one part, each step from the other."""
    env = toys.clock(life=(2, 5), max_steps=5)

    def reset(key):
        first, later = jax.random.split(key)
        state = env.reset(first)
        return state._replace(physics=(state.physics, later))

    def step(state, action):
        physics, later = state.physics
        after = env.step(state._replace(physics=physics), action)
        luck = jax.random.uniform(jax.random.fold_in(later, physics.time))
        return after._replace(physics=(after.physics, later), reward=after.reward + luck)

    return env._replace(reset=reset, step=step)


def test_a_training_run_draws_every_key_in_one_place(draws):
    """Members, resets, steps, noise of actions, later episodes, the probe, evaluation."""
    env = chancy()
    policy = rl.mlp(env, (2,), head="gaussian")
    subset = noise.subset(0.5)
    problem = rl.rollout(env, policy, least_steps=12, seeds="independent", normalize="salimans", lanes=3)
    held_out = rl.evaluation(env, policy, episodes=3)
    params = policy.init(keys.stream(KEY, Stream.PARAMETERS))
    *_, last = jaxes.fit(
        jaxes.open_es(4, 0.1, noise=subset),
        problem,
        params,
        key=KEY,
        generations=3,
        evaluate=lambda params, state, key: held_out(params, state.normalizer, key).returns,
        progress=False,
    )
    assert last.metrics["episodes"] > 3 * 4 * 2, "places have later episodes"
    files = {line.partition(":")[0] for line in lines_of(draws)}
    assert files == {"dense.py", "subset.py", "toys.py", "test_keys.py", "heads.py", "episodes.py"}


@pytest.mark.parametrize(
    "make",
    [
        jaxes.differential_evolution,
        jaxes.particle_swarm,
        jaxes.gesmr_ga,
        jaxes.simulated_annealing,
        jaxes.guided_es,
        jaxes.sv_open_es,
        jaxes.sv_cma_es,
        jaxes.vd_cma_es,
    ],
    ids=lambda make: make.__name__,
)
def test_a_strategy_draws_every_key_in_one_place(make, draws):
    inner = make.__wrapped__(8)
    strategy = jaxes.wrappers.restarted.__wrapped__(inner, begin=lambda key, x: x + jax.random.normal(key, x.shape))

    @quick
    def run():
        state = strategy.init(KEY, jnp.ones(3))
        for flat in (False, False, True, True):  # two generations without a difference end a run
            members = strategy.ask(state)
            fitness = jnp.zeros(8) if flat else -jnp.sum(members**2, axis=1)
            state, _ = strategy.tell(state, fitness)
        return state.runs, strategy.ask(state)

    assert int(run()[0]) == 1
    assert lines_of(draws)
