"""Environments of one's own by name: registered, or in a module."""

import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest
import toys

import jaxes
from jaxes import envs
from jaxes.envs import registry


@pytest.fixture
def own(monkeypatch):
    monkeypatch.setattr(registry, "_own", {})


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module in the current folder, which is not on the path of scripts."""
    (tmp_path / "my_tasks.py").write_text(
        textwrap.dedent(
            '''
            import jax, jax.numpy as jnp, numpy as np
            from jaxes import envs


            def line(steps=20, name="line"):
                def state(x, reward):
                    return envs.EnvState(x, x[None], reward, jnp.abs(x) > 3)

                def reset(key):
                    return state(jax.random.uniform(key, (), minval=-1, maxval=1), jnp.float32(0))

                def step(now, action):
                    x = now.physics + 0.3 * action[0]
                    return state(x, 1 - jnp.abs(x))

                limit = np.ones(1, np.float32)
                shape = jax.ShapeDtypeStruct((1,), jnp.float32)
                return envs.Env(name, reset, step, shape, envs.Box(-limit, limit), steps)


            def braxlike():
                """Its `done` is a float and its reward an int."""
                env = line()
                change = lambda state: state._replace(
                    reward=(state.reward > 0).astype(jnp.int32), done=state.done.astype(jnp.float32)
                )
                return env._replace(reset=lambda key: change(env.reset(key)), step=lambda s, a: change(env.step(s, a)))


            LINE = line(7)
            NUMBER = 3


            class Tasks:
                line = staticmethod(line)


            def broken():
                raise TypeError("a leg is missing")


            def lame():
                return line()._replace(step=lambda state, action: len(5))


            def needy(legs):
                return line()


            def nothing():
                return 5


            envs.register("me/Line", line)
            '''
        )
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.delitem(sys.modules, "my_tasks", raising=False)
    return tmp_path


def test_an_environment_of_ones_own_has_a_name(own):
    envs.register("me/Chase", toys.chase)
    assert envs.make("me/Chase").name == "toys/chase"
    assert envs.make("me/Chase", max_steps=7).max_steps == 7
    assert "me/Chase" in envs.names()
    envs.register("me/Chase", toys.chase)  # as a module that is imported twice does
    with pytest.raises(ValueError, match="name 'me/Chase' is taken by another environment"):
        envs.register("me/Chase", toys.clock)
    with pytest.raises(ValueError, match="unknown environment 'me/Chasr'; did you mean me/Chase"):
        envs.make("me/Chasr")


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("Chase", toys.chase, "name must be of the form 'me/Name', got 'Chase'"),
        ("me/", toys.chase, "name must be of the form 'me/Name', got 'me/'"),
        ("/Chase", toys.chase, "name must be of the form"),
        ("a:b/Chase", toys.chase, "name must be of the form"),
        (None, toys.chase, "name must be of the form 'me/Name', got None"),
        ("brax/Chase", toys.chase, "name must not begin with brax/, which is a suite of jaxes"),
        ("me/Chase", toys.chase(), "make must be a function that returns a jaxes.envs.Env, such as lambda: env"),
        ("me/Chase", "toys:chase", "make must be a function"),
    ],
)
def test_what_cannot_be_registered(name, make, message, own):
    with pytest.raises((ValueError, TypeError), match=message):
        envs.register(name, make)


@pytest.mark.parametrize(
    ("name", "options", "steps"),
    [
        ("my_tasks:line", {}, 20),
        ("my_tasks:line", {"steps": 5}, 5),
        ("my_tasks:LINE", {}, 7),
        ("my_tasks:Tasks.line", {}, 20),
        ("my_tasks:me/Line", {"steps": 6}, 6),
    ],
)
def test_what_a_module_holds_has_a_name(name, options, steps, module, own):
    env = envs.make(name, **options)
    assert (env.name, env.max_steps) == ("line", steps)
    envs.check_name(name)


def test_ones_own_are_converted_where_it_is_harmless(module, own):
    state = envs.make("my_tasks:braxlike").reset(jax.random.key(0))
    assert (state.reward.dtype, state.done.dtype) == (np.float32, np.bool_)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("my_tasks:lines", {}, "environment 'my_tasks:lines': the module my_tasks has no lines; did you mean line"),
        (
            "my_task:line",
            {},
            "environment 'my_task:line': there is no module my_task here .*in the folder of my_task.py",
        ),
        ("my_tasks.more:line", {}, "there is no module my_tasks.more here"),
        (":line", {}, "environment ':line'.*is no name of a module"),
        ("my_tasks:NUMBER", {}, "environment 'my_tasks:NUMBER' must be an Env or a function that returns one, got 3"),
        ("my_tasks:nothing", {}, "environment 'my_tasks:nothing' must give a jaxes.envs.Env, got int"),
        ("my_tasks:line", {"stebs": 4}, "could not be made with {'stebs': 4}: .*stebs'; it takes .*steps=20, name"),
        ("my_tasks:broken", {"legs": 4}, "could not be made with {'legs': 4}: .*legs'; it takes \\(\\)"),
        ("my_tasks:needy", {}, "could not be made with no options: missing a required argument: 'legs'; it takes"),
        ("my_tasks:LINE", {"steps": 4}, "environment 'my_tasks:LINE' is an Env and has no options, got steps"),
        (
            "yours/Line",
            {},
            r"'yours' is none of the suites.*register\('yours/Line', make\).*`jaxes train my_module:yours/Line`",
        ),
        ("yours/Hopper-v5", {}, "an id of gymnasium's registry: gymnasium/yours/Hopper-v5"),
        ("gymnasiun/CartPole-v1", {}, "did you mean gymnasium/CartPole-v1"),
        (
            "Line",
            {},
            "unknown environment 'Line'.*; your own: jaxes.envs.register, and MODULE:NAME on the command line",
        ),
        (None, {}, "env must be the name of an environment, such as 'brax/ant', got None"),
    ],
)
def test_what_is_not_there_is_told_in_a_sentence(name, options, message, module, own):
    with pytest.raises((ValueError, TypeError), match=message):
        envs.make(name, **options)


def test_what_ones_own_function_raises_is_told_with_its_place(module, own):
    with pytest.raises(TypeError, match=r"^a leg is missing$") as error:
        envs.make("my_tasks:broken")
    assert error.traceback[-1].path == module / "my_tasks.py"
    for name, told in (
        ("broken", "TypeError: a leg is missing"),
        ("lame", "TypeError: step of line cannot be traced: object of type 'int' has no len()"),
    ):
        script = [sys.executable, "-m", "jaxes.cli", "train", f"my_tasks:{name}", "--generations", "1"]
        out = subprocess.run(script, capture_output=True, text=True)
        assert out.returncode == 1
        assert 'my_tasks.py", line' in out.stderr and f"\n{told}\n" in out.stderr


def test_a_module_that_needs_what_is_not_there_says_so(module, own):
    (module / "needy.py").write_text("import not_there_at_all\n")
    with pytest.raises(ModuleNotFoundError, match="not_there_at_all"):
        envs.make("needy:line")


@pytest.mark.parametrize("name", ["my_tasks:line", "my_tasks:me/Line"])
def test_it_is_trained_from_the_command_line_and_loaded(name, module, own):
    settings = ["--population-size", "8", "--hidden", "4", "--generations", "2", "--evaluation-episodes", "2"]
    settings += ["--no-progress", "--no-video", "--out", "run"]
    start = "import sys; sys.path.remove(''); from jaxes import cli; cli.main()"  # as the installed command is
    script = [sys.executable, "-c", start, "train", name, *settings]
    out = subprocess.run(script, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    policy = jaxes.load(module / "run")
    assert policy(np.zeros((3, 1), np.float32)).shape == (3, 1)


@pytest.mark.parametrize(
    ("given", "name"),
    [("mujoco/InvertedPendulum", "mujoco/InvertedPendulum-v5"), ("gymnax/CartPole", "gymnax/CartPole-v1")],
)
def test_a_version_is_left_out_where_there_is_one(given, name):
    assert jaxes.envs.make(given).name == name
