"""Presets: one for every environment of the suites that have some, or a reason; and the table of what they gave."""

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from jaxes import envs
from jaxes.training import config as settings
from jaxes.training import presets
from jaxes.training.config import Config

ROOT = Path(__file__).parents[1]
SUITES = ("brax", "gymnasium", "gymnax", "jaxes", "mujoco", "playground")
LISTED = [row for row in envs.listing() if row.name.startswith(tuple(f"{suite}/" for suite in SUITES))]


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        spec = importlib.util.spec_from_file_location("presets_benchmark", ROOT / "benchmarks" / "presets.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def test_every_environment_has_a_preset_or_a_reason():
    names = {row.name for row in LISTED}
    assert names == presets.PRESETS.keys() | presets.WITHOUT.keys()
    assert not presets.PRESETS.keys() & presets.WITHOUT.keys()


@pytest.mark.parametrize("name", presets.PRESETS)
def test_a_preset_is_settings_of_a_run_and_has_an_end(name):
    fields = {field.name for field in dataclasses.fields(Config)}
    assert presets.PRESETS[name].keys() <= fields
    complete = settings.complete(Config(name))
    assert complete.seconds is not None and complete.seconds <= 600
    for key, value in presets.PRESETS[name].items():
        assert getattr(complete, key) == value
    settings.strategy_options(complete)


@pytest.mark.parametrize("row", LISTED, ids=lambda row: row.name)
def test_a_target_is_that_of_the_registry(row):
    gymnasium = pytest.importorskip("gymnasium")
    suite, _, name = row.name.partition("/")
    if suite in ("brax", "playground") or name not in gymnasium.registry or row.name in presets.WITHOUT:
        return
    assert presets.PRESETS[row.name].get("target") == gymnasium.spec(name).reward_threshold


@pytest.mark.parametrize("name", ["gymnax/CartPole-v1", "gymnax/MountainCarContinuous-v0", "mujoco/Swimmer-v5"])
def test_a_preset_can_be_built(name):
    from jaxes.training.train import build

    pytest.importorskip("gymnax" if name.startswith("gymnax") else "gymnasium")
    parts = build(settings.complete(Config(name, workers=0 if name.startswith("mujoco") else None)))
    assert parts.env.name == name


def test_the_table_tells_what_was_measured(benchmark):
    figures = json.loads((ROOT / "benchmarks" / "results" / "presets.json").read_text())["figures"]
    text = (ROOT / "docs" / "presets.md").read_text()
    assert text == benchmark.table(figures), "python benchmarks/presets.py --table"
    for row in LISTED:
        line = next(line for line in text.splitlines() if line.startswith(f"| `{row.name}` |"))
        result = figures.get(row.name)
        if row.name in presets.WITHOUT:
            assert presets.WITHOUT[row.name] in line
        elif result is None or result["settings"] != benchmark._plain(presets.PRESETS[row.name]):
            assert "untried" in line
        else:
            assert f"{result['score']:,.1f}" in line and f"| {result['seconds']:.0f}" in line
            assert (f", {result['cores']} cores |" in line) == (result["cores"] > 1)
            target = presets.PRESETS[row.name].get("target")
            assert ("missed" in line) == (target is not None and result["score"] < target)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("gymnasium/CartPole", "gymnasium/CartPole-v1"),
        ("mujoco/Ant-v5", "mujoco/Ant-v5"),
        ("gymnasium/CartPole-v0", None),
        ("gymnasium/Cart", None),
        ("my_tasks:line", None),
    ],
)
def test_a_name_without_its_version_has_the_preset_of_the_newest(name, known):
    assert presets.of(name) == ({} if known is None else presets.PRESETS[known])
    if name == "gymnasium/CartPole":
        assert settings.complete(Config(name)).target == 475
