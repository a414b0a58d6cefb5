"""Settings that train well, measured on two CPU cores; anything given on the command line takes precedence.

Every environment that Brax, gymnasium, gymnax, jaxes and Playground's control suite list has a preset here, or a reason
not to have one. A `target` is the score at which gymnasium's registry calls the task solved; a run elsewhere takes it
from the same task there, or has one that was reached. docs/presets.md tells what each preset has given.

A limit that is given (generations, steps, seconds or target) replaces all limits of the preset.
"""

from typing import Any

from jaxes.envs.suites import playground

DEFAULT: dict[str, Any] = {
    "population_size": 64,
    "sigma": 0.05,
    "learning_rate": 0.02,
    "hidden": (32, 32),
    "seeds": "generation",  # all members start alike: their ranks have less noise
    "seconds": 600.0,
}

_QUICK: dict[str, Any] = {"sigma": 0.1, "learning_rate": 0.05, "seconds": 60.0}  # for what is small
_SOLVED: dict[str, Any] = {**_QUICK, "seconds": 300.0}  # the target comes much earlier on a machine of one's own
# Positions and speeds alone are rewarded at first by luck, which wide steps find.
_CAR: dict[str, Any] = {"sigma": 0.5, "learning_rate": 0.1, "episodes": 4, "seconds": 300.0}
_SWING: dict[str, Any] = {**_QUICK, "episodes": 8, "seconds": 120.0}
# A linear policy from zero, as in Mania et al. 2018, on the actions' own scale.
_LINEAR: dict[str, Any] = {"hidden": (), "last_scale": 0.0, "head": "clip", "normalize": "ars"}
# A fall costs 100, more than the steps of a beginner earn.
_WALKER: dict[str, Any] = {**_LINEAR, "clip_reward": (-5.0, 5.0), "episodes": 2, "target": 300.0}
# With sigma 0.05 it is at 270 when it is at 300 with 0.03.
_OWN_WALKER: dict[str, Any] = {"population_size": 256, "lanes": 128, "sigma": 0.03, "hidden": (40, 40)}
_OWN_WALKER |= {"normalize": "ars", "clip_reward": (-5.0, 5.0), "target": 300.0}
# As in Salimans et al. 2017, who take millions of steps.
_SALIMANS: dict[str, Any] = {"sigma": 0.02, "learning_rate": 0.01, "weight_decay": 0.005, "decay": "l2"}
_SALIMANS |= {"initialization": "normc", "hidden": (64, 64), "head": "clip"}
_ARS: dict[str, Any] = {"normalize": "ars"}
# A linear policy from zero lands; it is not rewarded for hovering until the time limit. gymnasium asks for 200.
_LANDER: dict[str, Any] = {**_QUICK, "hidden": (), "last_scale": 0.0, "episodes": 4, "max_steps": 500}
_LANDER |= {"target": 220.0, "seconds": 300.0}

PRESETS: dict[str, dict[str, Any]] = {
    "brax/ant": _ARS,
    "brax/halfcheetah": {**_ARS, "target": 2000.0, "seconds": 180.0},
    # Smaller steps stay at 1300, where it stands and leans, with every fourth seed.
    "brax/hopper": {**_ARS, "sigma": 0.15, "learning_rate": 0.03, "target": 2000.0, "seconds": 180.0},
    "brax/humanoid": _ARS,
    "brax/humanoidstandup": _ARS,
    "brax/inverted_double_pendulum": {**_SOLVED, "target": 9100.0},
    "brax/inverted_pendulum": {**_SOLVED, "target": 995.0},
    "brax/pusher": {"episodes": 4},
    "brax/reacher": {**_QUICK, "episodes": 8, "seconds": 300.0},
    "brax/swimmer": _ARS,
    "brax/walker2d": {**_ARS, "target": 2000.0, "seconds": 180.0},  # standing still gives 1000
    "gymnasium/Acrobot-v1": {**_SOLVED, "target": -100.0},
    "gymnasium/BipedalWalker-v3": _WALKER,
    "gymnasium/BipedalWalkerHardcore-v3": _WALKER,
    "gymnasium/CartPole-v1": {**_SOLVED, "target": 475.0},
    "gymnasium/LunarLander-v3": {"target": 200.0},
    "gymnasium/LunarLanderContinuous-v3": {"target": 200.0},
    "gymnasium/MountainCar-v0": {**_CAR, "hidden": (16,), "normalize": "ars", "target": -110.0},
    "gymnasium/MountainCarContinuous-v0": {**_CAR, "episodes": 1, "learning_rate": 0.05, "target": 90.0},
    "gymnasium/Pendulum-v1": {**_SWING, "episodes": 2, "seconds": 300.0},
    "gymnax/Acrobot-v1": {**_SOLVED, "target": -100.0},
    "gymnax/BernoulliBandit-misc": _QUICK,
    "gymnax/CartPole-v1": {**_SOLVED, "target": 475.0},
    "gymnax/DiscountingChain-bsuite": _QUICK,
    "gymnax/FourRooms-misc": _QUICK,
    "gymnax/GaussianBandit-misc": _QUICK,
    "gymnax/MemoryChain-bsuite": _QUICK,
    "gymnax/MetaMaze-misc": _QUICK,
    "gymnax/MountainCar-v0": {**_CAR, "target": -110.0},
    "gymnax/MountainCarContinuous-v0": {**_CAR, "episodes": 1, "learning_rate": 0.05, "target": 90.0},
    "gymnax/Pendulum-v1": _SWING,
    "gymnax/PointRobot-misc": _QUICK,
    "gymnax/Reacher-misc": _QUICK,
    "gymnax/Swimmer-misc": _QUICK,
    "gymnax/UmbrellaChain-bsuite": _QUICK,
    "jaxes/BipedalWalker": _OWN_WALKER,
    "jaxes/BipedalWalkerHardcore": _OWN_WALKER,
    "jaxes/CyclicMDP": {"sigma": 1.0, "learning_rate": 0.1, "seconds": 60.0},
    "jaxes/CyclicMDPEqual": {"sigma": 1.0, "learning_rate": 0.1, "seconds": 60.0},
    "jaxes/LunarLander": _LANDER,
    "jaxes/LunarLanderContinuous": _LANDER,
    "jaxes/cartpole_swingup": _SWING,
    "mujoco/Ant-v5": {**_SALIMANS, "target": 6000.0},
    "mujoco/HalfCheetah-v5": {**_SALIMANS, "target": 4800.0},
    "mujoco/Hopper-v5": {**_SALIMANS, "target": 3800.0},
    "mujoco/Humanoid-v5": {**_SALIMANS, "population_size": 128},
    "mujoco/HumanoidStandup-v5": _SALIMANS,
    "mujoco/InvertedDoublePendulum-v5": {**_LINEAR, "learning_rate": 0.05, "seconds": 300.0, "target": 9100.0},
    "mujoco/InvertedPendulum-v5": {**_SOLVED, "target": 950.0},
    "mujoco/Pusher-v5": {**_SALIMANS, "episodes": 4, "target": 0.0},
    "mujoco/Reacher-v5": {**_SALIMANS, "episodes": 8, "target": -3.75},
    "mujoco/Swimmer-v5": {**_LINEAR, "target": 360.0},
    "mujoco/Walker2d-v5": _SALIMANS,
}
PRESETS |= {f"playground/{name}": _ARS for name in playground.MAX_STEPS}

_PICTURES = "grids as observations: need a module of your own (jaxes.rl.policy)"
WITHOUT: dict[str, str] = {
    "gymnax/Asterix-MinAtar": _PICTURES,
    "gymnax/Breakout-MinAtar": _PICTURES,
    "gymnax/Catch-bsuite": _PICTURES,
    "gymnax/DeepSea-bsuite": _PICTURES,
    "gymnax/Freeway-MinAtar": _PICTURES,
    "gymnax/FrozenLake-misc": "the number of a field as observation: needs a module of your own (jaxes.rl.policy)",
    "gymnax/MNISTBandit-bsuite": _PICTURES,
    "gymnax/Pong-misc": _PICTURES,
    "gymnax/Seaquest-MinAtar": _PICTURES,
    "gymnax/SimpleBandit-bsuite": _PICTURES,
    "gymnax/SpaceInvaders-MinAtar": _PICTURES,
    "jaxes/tetris": "chooses among described placements: needs a policy that values them (--network values)",
}
"""Environments of those suites that have no preset, and why."""


def of(name: str) -> dict[str, Any]:
    """The preset of an environment, without the defaults; {} if it has none.

    A name without its version, such as "gymnasium/CartPole", has that of the newest one.

    >>> of("gymnasium/CartPole")["target"]
    475.0
    """
    if name in PRESETS:
        return PRESETS[name]
    versions = [known for known in PRESETS if known.startswith(f"{name}-v") and known[len(name) + 2 :].isdigit()]
    return PRESETS[max(versions, key=lambda known: int(known[len(name) + 2 :]))] if versions else {}
