"""Settings: complete, checked, and the same after a visit to disk."""

import inspect
import json
import math
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxes import envs, rl
from jaxes.strategies import STRATEGIES
from jaxes.training import about
from jaxes.training import config as settings
from jaxes.training.actor import actor
from jaxes.training.config import Config
from jaxes.training.presets import PRESETS


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_setting_of_a_strategy_can_be_given(name):
    takes = inspect.signature(STRATEGIES[name]).parameters
    names = set(takes) - set(settings._STRATEGY) - set(settings._PYTHON_ONLY)
    values: dict[str, float | str] = dict.fromkeys(names, 0.5)
    for option in names:  # whole numbers and words have such defaults
        kinds = get_args(takes[option].annotation) or (takes[option].annotation,)
        if float not in kinds and Any not in kinds:
            values[option] = 2 if int in kinds else takes[option].default
    config = Config(
        "brax/hopper", strategy=name, options=tuple(f"{option}={value}" for option, value in values.items())
    )
    assert settings.strategy_options(settings.complete(config)).items() >= values.items()


def test_options_are_numbers_booleans_or_words():
    options = ("c_m=0.9", "active=false")
    config = settings.complete(Config("brax/hopper", strategy="cma_es", options=options))
    assert settings.strategy_options(config) | {"sigma": 0} == {"c_m": 0.9, "active": False, "sigma": 0}
    evolution = Config("brax/hopper", strategy="differential_evolution", options=("strategy=rand1bin",))
    assert settings.strategy_options(evolution)["strategy"] == "rand1bin"


def test_every_setting_of_policy_and_rollout_can_be_given():
    keywords = lambda f: set(inspect.signature(f).parameters) - {"env", "policy"}
    made = {"virtual_batch_norm": "reference"}
    for network in settings.NETWORKS:
        function = getattr(rl, network.partition(":")[0])
        assert keywords(function) - {"kind"} == {made.get(name, name) for name in settings.network_settings(network)}
    assert keywords(rl.rollout) == set(settings._ROLLOUT)


def test_what_sees_for_itself_gets_raw_observations():
    complete = lambda **given: settings.complete(Config("brax/hopper", **given))
    assert complete(network="cnn:nature").normalize == "off"
    assert complete(virtual_batch_norm=True).normalize == "off"
    assert complete().normalize == "ars" and complete(network="cnn:a3c", normalize="on").normalize == "on"


def test_only_a_perceptron_has_the_hidden_layers_of_the_presets():
    complete = lambda network: settings.complete(Config("brax/hopper", network=network))
    assert complete("mlp").hidden is not None and complete("gru").hidden is None


def test_presets_are_of_known_environments_and_settings():
    for env, preset in PRESETS.items():
        assert env in envs.names()
        Config(env, **preset)


def test_what_is_given_goes_before_the_preset():
    env, preset = "brax/inverted_pendulum", PRESETS["brax/inverted_pendulum"]
    assert settings.complete(Config(env)).sigma == preset["sigma"]
    assert settings.complete(Config(env, sigma=0.3)).sigma == 0.3


def test_a_limit_that_is_given_replaces_those_of_the_preset():
    config = settings.complete(Config("brax/hopper", generations=3))
    assert (config.generations, config.steps, config.seconds, config.target) == (3, None, None, None)


def test_the_target_of_the_preset_can_be_declined():
    env, preset = "brax/inverted_pendulum", PRESETS["brax/inverted_pendulum"]
    assert settings.complete(Config(env)).target == preset["target"]
    without = settings.complete(Config(env, target="none"))
    assert without.target is None and without.seconds == preset["seconds"]
    assert settings.resumed(settings.complete(Config(env)), {"target": "none"}) == without


def test_names_are_taken_as_the_factories_take_them():
    config = settings.complete(Config("brax/hopper", strategy="Open-ES", shaping="Centered Rank", noise="low-rank"))
    assert (config.strategy, config.shaping, config.noise) == ("open_es", "centered_rank", "low_rank")


def test_settings_survive_the_disk(tmp_path):
    config = settings.complete(Config("brax/hopper", hidden=(3, 4), options=(), target=5.0, normalize="off"))
    about.write(tmp_path, about.described(config))
    assert settings.load(tmp_path / "config.json") == config
    held = json.loads((tmp_path / "config.json").read_text())
    assert None not in held.values()
    assert held["versions"].keys() >= {"jaxes", "python", "jax", "jaxlib"}
    assert held["versions"]["jax"] == jax.__version__


def test_numbers_of_numpy_are_kept_as_numbers(tmp_path):
    given = {
        "population_size": np.int64(16),
        "hidden": (np.int32(4), np.uint8(8)),
        "clip_reward": (np.float64(-1), 1.0),
        "alive_bonus": np.array([0, 1, 2]),
        "strict": np.bool_(False),
        "target": np.float32(2.5),
    }
    config = settings.complete(Config("brax/hopper", **given, seed=np.uint32(3), evaluate_every=np.int8(2)))
    assert (config.population_size, config.hidden, config.alive_bonus) == (16, (4, 8), (0, 1, 2))
    about.write(tmp_path, about.described(config))
    assert settings.load(tmp_path / "config.json") == config
    held = json.loads((tmp_path / "config.json").read_text())
    assert (held["hidden"], held["clip_reward"], held["target"], held["seed"]) == ([4, 8], [-1.0, 1.0], 2.5, 3)
    assert held["strict"] is False and settings.resumed(config, {"generations": np.int64(7)}).generations == 7
    about.write(tmp_path, about.described({"lr": np.float32(0.5), "sizes": [np.int64(3)]}))
    assert about.read(tmp_path)["settings"] == {"lr": 0.5, "sizes": [3]}


def test_unknown_settings_on_disk_are_named(tmp_path):
    (tmp_path / "config.json").write_text('{"env": "brax/ant", "warp_drive": 1}')
    with pytest.raises(ValueError, match="does not know: warp_drive"):
        settings.load(tmp_path / "config.json")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"env": "brax/hoper"}, "unknown environment 'brax/hoper'; did you mean brax/hopper"),
        ({"env": "brax/ant", "strategy": "cma"}, "unknown strategy 'cma'; did you mean cma_es"),
        (
            {"env": "brax/ant", "strategy": "cem", "learning_rate": 0.1},
            "'cem' has no setting 'learning_rate'; it has: sigma",
        ),
        ({"env": "brax/ant", "shaping": "rank"}, "unknown shaping 'rank'; did you mean"),
        ({"env": "brax/ant", "noise": "gauss"}, "unknown noise 'gauss'; did you mean gaussian"),
        (
            {"env": "brax/ant", "strategy": "cma_es", "options": ("c_n=1",)},
            "unknown option of cma_es 'c_n'; did you mean c_",
        ),
        (
            {"env": "brax/ant", "strategy": "cma_es", "options": ("c_m=abc",)},
            "option c_m of cma_es must be a number, got 'abc'",
        ),
        ({"env": "brax/ant", "strategy": "cma_es", "options": ("c_m=nan",)}, "must be a number, got 'nan'"),
        ({"env": "brax/ant", "strategy": "cma_es", "options": ("c_m=",)}, "must be a number, got ''"),
        ({"env": "brax/ant", "strategy": "cma_es", "options": ("c_m=[1]",)}, "must be a number, got '\\[1\\]'"),
        ({"env": "brax/ant", "strategy": "cma_es", "options": ("active=1",)}, "must be true or false, got '1'"),
        ({"env": "brax/ant", "strategy": "cma_es", "options": ("interval=1.5",)}, "a whole number, got '1.5'"),
        ({"env": "brax/ant", "strategy": "guided_es", "options": ("surrogates=now",)}, "unknown surrogates of"),
        ({"env": "brax/ant", "target": "no"}, "target must be a number that is finite, got 'no'"),
        ({"env": "brax/ant", "track": "paper"}, "unknown tracker 'paper'; known: wandb, mlflow, trackio"),
        ({"env": "brax/ant", "options": ("c_m",)}, "options must be given as NAME=VALUE, got 'c_m'"),
        ({"env": "brax/ant", "network": "cnn"}, "unknown network 'cnn'; did you mean cnn:"),
        (
            {"env": "brax/ant", "network": "gru", "virtual_batch_norm": True},
            "network 'gru' has no setting 'virtual_batch_norm'; it has: hidden, head",
        ),
        ({"env": "brax/ant", "virtual_batch_norm": True, "normalize": "on"}, "takes the place of normalized obs"),
        ({"env": "brax/ant", "evaluate_every": 0}, "evaluate_every must be an int of 1 or more, got 0"),
        ({"env": "brax/ant", "devices": 0}, "devices must be an int of 1 or more, got 0"),
        ({"env": "brax/ant", "action_repeat": 0}, "action_repeat must be an int of 1 or more, got 0"),
        ({"env": "brax/ant", "last_scale": math.nan}, "last_scale must be finite, got nan"),
        ({"env": "brax/ant", "generations": 2.5}, "generations must be an int of 1 or more, got 2.5"),
        ({"env": "brax/ant", "target": math.nan}, "target must be a number that is finite, got nan"),
        ({"env": "brax/ant", "report_every": 0}, "report_every must be an int of 1 or more, got 0"),
        ({"env": "brax/ant", "evaluation_episodes": -1}, "evaluation_episodes must be an int of 1 or more, got -1"),
        ({"env": "brax/ant", "seed": 2**32}, "seed must be an int from 0 to 4294967295, got 4294967296"),
        ({"env": "brax/ant", "seconds": -1.0}, "seconds must be a number above 0 and finite, got -1.0"),
    ],
)
def test_bad_settings_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        settings.complete(Config(**given))


def test_a_resumed_run_may_have_other_limits_and_workers():
    config = Config("mujoco/Hopper-v5", sigma=0.3, generations=5, seconds=9.0, ray="HOST:6379")
    longer = settings.resumed(config, {"generations": 8})
    assert (longer.generations, longer.seconds, longer.ray, longer.sigma) == (8, None, "HOST:6379", 0.3)
    here = settings.resumed(config, {"workers": 2})
    assert (here.generations, here.seconds, here.ray, here.workers) == (5, 9.0, None, 2)


def test_the_network_that_values_choices():
    config = settings.complete(Config(env="jaxes/tetris", network="values", strategy="cem", last_scale=0.0))
    assert config.normalize == "off" and config.hidden is None
    env, policy = actor(config)
    assert jax.tree.map(jnp.shape, policy.init(jax.random.key(0))) == {"params": {"Dense_0": {"kernel": (22, 1)}}}
    observation = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), env.observation)
    assert policy.act(policy.init(jax.random.key(0)), (), observation)[0] == 0
