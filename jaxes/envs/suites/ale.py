"""Atari games on CPUs, as papers play them (Mnih et al. 2015): an action is held for four frames, and the policy sees
the last four pictures. A picture is the pixelwise maximum of two frames, made gray and small.

The pictures come from ale-py's vector environment, one for each lane. An episode begins with up to 30 actions that do
nothing, a number drawn from its seed, because the game itself always starts in the same way. Rewards are the points of
the game, and an episode lasts until the game is over, not until a life is lost.
"""

import functools
import os
import warnings
from typing import Any

import jax
import numpy as np

from jaxes.envs.host import host_env, threaded_step
from jaxes.envs.protocol import Discrete, Env
from jaxes.support import checks, extras

# The games of Salimans et al. 2017, Table 2, by the number of their actions; any other game of ale-py works too.
_GAMES = {
    3: "Freeway Skiing",
    4: "Atlantis Breakout",
    6: "Bowling DemonAttack NameThisGame Pong Qbert SpaceInvaders UpNDown",
    7: "Assault",
    8: "Gopher Phoenix Tutankham",
    9: "Asterix BeamRider CrazyClimber Enduro VideoPinball",
    10: "Amidar TimePilot WizardOfWor",
    14: "Asteroids",
    18: "Alien BankHeist BattleZone Berzerk Boxing Centipede ChopperCommand DoubleDunk FishingDerby Frostbite Gravitar "
    "IceHockey Kangaroo Krull MontezumaRevenge Pitfall PrivateEye Riverraid RoadRunner Robotank Seaquest Solaris "
    "StarGunner Tennis Venture YarsRevenge Zaxxon",
}
SIDE, STACK, NO_OPS = 84, 4, 30
SIZES = {
    f"{game}-v5": (SIDE * SIDE * STACK, Discrete(count))
    for game, count in sorted((game, count) for count, games in _GAMES.items() for game in games.split())
}
FRAMES = 108_000  # in an episode: half an hour
MAX_STEPS = dict.fromkeys(SIZES, FRAMES // 4)


def make(
    name: str,
    *,
    frame_skip: int = 4,
    stack: int = STACK,
    no_ops: int = NO_OPS,
    repeat_action_probability: float = 0.0,
    full_action_space: bool = False,
    episodic_life: bool = False,
) -> Env:
    """The environment "ale/`name`"; observations are uint8[84, 84, stack], the newest picture last.

    Args:
        name: such as "Pong-v5".
        frame_skip: frames that an action is held for.
        stack: pictures in an observation.
        no_ops: the largest number of actions that do nothing at the start of an episode.
        repeat_action_probability: of sticky actions (Machado et al. 2018, who recommend 0.25). With them a reset takes
            some 50 ms, because the emulator takes a seed only when it loads a game.
        full_action_space: whether there are all 18 actions, or only the ones that the game knows.
        episodic_life: whether an episode ends when a life is lost.

    Raises:
        ImportError: without ale-py; the message says what to install.
        ValueError: if there is no such game.
        FileNotFoundError: if the game's ROM is missing.

    >>> from jaxes import envs
    >>> env = envs.make("ale/Pong-v5")  # doctest: +SKIP
    >>> env.observation.shape, env.action  # doctest: +SKIP
    ((84, 84, 4), Discrete(n=6))
    """
    for what, value in (("frame_skip", frame_skip), ("stack", stack)):
        checks.count(what, value)
    checks.integer("no_ops", no_ops, 0)
    if not 0 <= repeat_action_probability < 1:
        raise ValueError(f"repeat_action_probability must be in [0, 1), got {repeat_action_probability!r}")
    game = _game(name)
    options = {
        "frameskip": frame_skip,
        "repeat_action_probability": repeat_action_probability,
        "full_action_space": full_action_space,
    }
    choices = _drawn(game, options).action_space.n
    lanes = functools.partial(AtariLanes, game, options, stack, no_ops, episodic_life)
    shape = jax.ShapeDtypeStruct((SIDE, SIDE, stack), np.uint8)
    film = functools.partial(_film, game, options, no_ops)
    return host_env(f"ale/{name}", lanes, shape, Discrete(int(choices)), FRAMES // frame_skip, frame_skip / 60, film)


def _package() -> Any:
    try:
        import ale_py
        import gymnasium  # noqa: F401 - ale_py.vector_env and ale_py.env need it
    except ImportError as error:
        raise extras.missing("ale", "ale", error) from None
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    return ale_py


def _game(name: str) -> str:
    """ale-py's name for a game; raises an error if its ROM is missing."""
    _package()
    from ale_py import roms

    games = {f"{game.title().replace('_', '')}-v5": game for game in roms.get_all_rom_ids()}
    game = games[checks.choice("Atari game", name, games)]
    try:
        roms.get_rom_path(game)
    except OSError as error:
        where = os.environ.get("ALE_ROMS_DIR")
        hint = "unset ALE_ROMS_DIR to use those of ale-py" if where else "reinstall ale-py, which brings them"
        raise FileNotFoundError(f"ale/{name} needs the ROM {game}.bin, which is missing or damaged: {hint}") from error
    return game


def _begin(seed: int, no_ops: int) -> tuple[int, int]:
    """From an episode's seed: the emulator's seed, and the number of actions that do nothing."""
    emulator, wait = np.random.SeedSequence(seed).generate_state(2)
    return int(emulator >> 1), int(wait) % (no_ops + 1)


class AtariLanes:
    """An emulator for each lane, in a thread of its own (`jaxes.envs.host.Lanes`)."""

    def __init__(self, game: str, options: dict[str, Any], stack: int, no_ops: int, episodic_life: bool, count: int):
        _package()
        from ale_py.vector_env import AtariVectorEnv

        self._no_ops, self._sticky = no_ops, options["repeat_action_probability"] > 0
        given: dict[str, Any] = {**options, "stack_num": stack, "img_height": SIDE, "img_width": SIDE}
        # The rollout cuts episodes; actions that do nothing are drawn by `_begin`.
        given |= {"episodic_life": episodic_life, "noop_max": 0, "use_fire_reset": False, "reward_clipping": False}
        given |= {"max_num_frames_per_episode": 2**30}
        self._envs = [AtariVectorEnv(game, 1, num_threads=1, **given) for _ in range(count)]
        self.observations = np.zeros((count, SIDE, SIDE, stack), np.uint8)
        self.truncated = np.zeros(count, bool)

    def reset(self, lane: int, seed: int) -> None:
        env, (emulator, wait) = self._envs[lane], _begin(seed, self._no_ops)
        observation, _ = env.reset(seed=np.array([emulator])) if self._sticky else env.reset()
        for _ in range(wait):
            observation, _, ended, _, _ = env.step(np.zeros(1, np.int64))
            if ended[0]:
                observation, _ = env.reset()
        self._see(lane, observation)

    def step(self, lanes: np.ndarray, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        whole = actions.astype(np.int64)
        send = lambda k, lane: self._envs[lane].send(whole[k : k + 1])
        return threaded_step(lanes, send, lambda lane: self._envs[lane].recv()[:4], self._see, self.truncated)

    def _see(self, lane: int, observation: np.ndarray) -> None:
        self.observations[lane] = np.moveaxis(observation[0], 0, -1)


def _drawn(game: str, options: dict[str, Any], **how: Any) -> Any:
    """An emulator that draws in color."""
    _package()
    from ale_py.env import AtariEnv

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AtariEnv(game, **options, **how)


def _film(game: str, options: dict, no_ops: int, seed: int, actions: list[Any], every: int) -> list[np.ndarray]:
    env, (emulator, wait) = _drawn(game, options, render_mode="rgb_array"), _begin(seed, no_ops)
    if options["repeat_action_probability"] > 0:
        env.ale.setInt("random_seed", emulator)
        env.load_game()
    env.ale.reset_game()
    for _ in range(wait):
        env.step(0)
    frames = [env.render()]
    for t, action in enumerate(actions, 1):
        env.step(int(action))
        if t % every == 0 or t == len(actions):
            frames.append(env.render())
    env.close()
    return frames
