"""Pictures of runs."""

import json

import numpy as np
import pytest
from matplotlib import image

from jaxes.training import plots


def row(g, score=1.5, **more):
    """A row of generation `g`, evaluated every fourth."""
    told = {"evaluation": score * g, "evaluation_std": 0.5} if g % 4 == 0 else {}
    numbers = {"generation": g, "steps": 10 * g, "seconds": 0.1 * g, "best": 2.0 * g, "mean": g if g != 5 else None}
    return numbers | {"evaluation": None, "evaluation_std": None, **told, **more}


def made(folder, rows, **config):
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if config:
        (folder / "config.json").write_text(json.dumps({"strategy": "open_es", "versions": {"jax": "1"}, **config}))
    return folder


@pytest.fixture
def run(tmp_path):
    more = {"episode_length": 7.0, "sigma": 0.1, "grad_norm": 3.0}
    return made(tmp_path / "run", [row(g, **more) for g in range(1, 21)])


@pytest.fixture
def drawn(monkeypatch):
    """The figures instead of pictures."""
    monkeypatch.setattr(plots.parts, "write", lambda figure, path: figure)


def told(axes):
    """What the legend says."""
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_reward_draws_a_picture_beside_the_metrics(run):
    path = plots.reward(run)
    assert path == run / "reward.png"
    assert image.imread(path).shape[:2] == (780, 1200)
    assert not list(run.glob(".*tmp"))


def test_reward_has_a_panel_for_each_number_that_the_run_has(run, drawn, tmp_path):
    labels = lambda figure: [axes.get_ylabel() for axes in figure.axes]
    figure = plots.reward(run)
    assert labels(figure) == ["score", "episode length", "sigma", "gradient norm"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"environment steps"}
    (sigma,) = figure.axes[2].get_lines()
    assert list(sigma.get_xdata()) == [10 * g for g in range(1, 21)] and set(sigma.get_ydata()) == {0.1}
    rows = [{**row(g), "sigma": 0.1, "steps": None, "grad_norm": None} for g in range(1, 9)]
    figure = plots.reward(made(tmp_path / "other", rows))
    assert labels(figure) == ["score", "sigma"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"generations"}
    assert plots.reward(run, x="seconds").axes[0].get_xlabel() == "seconds"


def test_the_title_tells_the_score_that_was_confirmed(drawn, tmp_path):
    rows = [row(g) for g in range(1, 9)]
    named = {"env": "brax/ant", "seed": 3, "target": 11.0}
    title = lambda run: plots.reward(run)._suptitle.get_text()
    assert title(made(tmp_path / "a", rows, **named)) == "brax/ant, open_es, seed 3: 12 after 8 generations, 1 s"
    rows[-1]["confirmation"] = 11.5
    assert ": 11.5 on fresh episodes after 8 generations" in title(made(tmp_path / "b", rows, **named))
    lines = {line.get_label() for line in plots.reward(tmp_path / "b").axes[0].get_lines()}
    assert {"target 11", "fresh episodes", "evaluation ± 1 std"} <= lines


def test_compare_draws_a_picture(run, tmp_path):
    assert image.imread(plots.compare([run, run], tmp_path / "both.png", x="seconds")).shape[:2] == (576, 1140)


def test_compare_has_a_panel_an_environment_and_a_curve_for_each_setting(drawn, tmp_path):
    runs = []
    for env, sigma, seed, score in (
        ("brax/ant", 0.1, 0, 1.0),
        ("brax/ant", 0.1, 1, 3.0),
        ("brax/ant", 0.2, 0, 5.0),
        ("brax/reacher", 0.1, 0, 7.0),
    ):
        rows = [row(g, score) for g in range(1, 9)]
        runs.append(made(tmp_path / f"{len(runs)}", rows, env=env, sigma=sigma, seed=seed, generations=seed))
    ant, reacher = plots.compare(runs, tmp_path / "all.png").axes
    assert (ant.get_title("left"), reacher.get_title("left")) == ("brax/ant", "brax/reacher")
    assert told(ant) == ["sigma 0.1 (2 seeds)", "sigma 0.2"]
    assert told(reacher) == ["open_es"]
    assert ant.get_legend().get_title().get_text() == "mean, band from lowest to highest"
    assert reacher.get_legend().get_title().get_text() == ""
    mean, *seeds, alone = ant.get_lines()
    assert [list(line.get_ydata()) for line in seeds] == [[4.0, 8.0], [12.0, 24.0]]
    assert list(mean.get_xdata()) == [40, 80]
    assert list(mean.get_ydata()) == [8.0, 16.0] and list(alone.get_ydata()) == [20.0, 40.0]
    (band,) = ant.collections
    assert band.get_paths()[0].vertices[:, 1].min() == 4.0 and band.get_paths()[0].vertices[:, 1].max() == 24.0


def test_the_mean_is_drawn_where_all_runs_have_numbers(drawn, tmp_path):
    """One run ends early, another one is evaluated later: a mean of the others would jump there."""
    for seed, (rows, score) in enumerate(((range(1, 13), 1.0), (range(1, 17), 3.0), (range(8, 17), 5.0))):
        made(tmp_path / str(seed), [row(g, score) for g in rows], env="brax/ant", seed=seed)
    (axes,) = plots.compare([tmp_path / str(seed) for seed in range(3)], tmp_path / "all.png").axes
    mean, *seeds = axes.get_lines()
    assert told(axes) == ["open_es (3 seeds)"]
    assert [list(line.get_xdata()) for line in seeds] == [[40, 80, 120], [40, 80, 120, 160], [80, 120, 160]]
    assert axes.get_legend().get_title().get_text() == "mean as far as all go, band from lowest to highest"
    assert list(mean.get_xdata()) == [80, 120]
    assert list(mean.get_ydata()) == [24.0, 36.0]  # of 8 24 40 | 12 36 60
    (band,) = axes.collections
    corners = {tuple(map(float, corner)) for corner in band.get_paths()[0].vertices}
    assert corners == {(80, 8), (80, 40), (120, 12), (120, 60)}


@pytest.mark.parametrize(
    ("seeds", "labels"),
    [
        ((0, 1), ["open_es (2 seeds)"]),
        ((0, 0), ["0", "1"]),
        ((0, 1, 0), ["0 to 1 (2 seeds)", "2"]),
        ((0,), ["open_es"]),
    ],
)
def test_the_same_seed_twice_is_no_second_seed(seeds, labels, drawn, tmp_path):
    rows = [row(g) for g in range(1, 9)]
    runs = [made(tmp_path / str(i), rows, env="brax/ant", seed=seed) for i, seed in enumerate(seeds)]
    (axes,) = plots.compare([*runs, runs[0], runs[0] / "../0"], tmp_path / "all.png").axes  # a folder is one run
    assert told(axes) == labels


def test_folders_of_one_name_are_told_by_where_they_are(drawn, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    runs = [made(tmp_path / name / "run", [row(g) for g in range(1, 9)]) for name in ("a", "b")]
    (axes,) = plots.compare(runs, tmp_path / "all.png").axes
    assert told(axes) == ["a/run", "b/run"]


def test_runs_of_which_nothing_says_what_they_are_keep_their_names(run, drawn, tmp_path):
    other = made(tmp_path / "other", [row(g) for g in range(1, 9)])
    (axes,) = plots.compare([run, other], tmp_path / "all.png").axes
    assert told(axes) == ["run", "other"]


def test_a_sweep_is_a_curve_a_setting(drawn):
    scores = np.array([[[1.0, 2.0], [3.0, 6.0]], [[0.0, 0.0], [0.0, 0.0]]])
    (axes,) = plots.sweep(["sigma 0.1", "sigma 0.2"], scores, [5, 10], "sweep.png", "brax/ant").axes
    assert told(axes) == ["sigma 0.1 (2 seeds)", "sigma 0.2 (2 seeds)"]
    first, second = (line for line in axes.get_lines() if not line.get_label().startswith("_"))
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([5, 10], [2.0, 4.0])
    assert axes.collections[0].get_paths()[0].vertices[:, 1].max() == 6.0
    assert list(second.get_ydata()) == [0.0, 0.0] and len(axes.collections) == 2


def test_many_settings_have_lines_and_colors_of_their_own_and_no_bands(drawn):
    scores = np.arange(12.0)[:, None, None] + np.ones((12, 2, 2))
    (axes,) = plots.sweep([f"sigma {i}" for i in range(12)], scores, [5, 10], "sweep.png", "brax/ant").axes
    assert len(axes.collections) == 0 and len(axes.get_lines()) == 36
    assert len({line.get_color() for line in axes.get_lines()}) == 12
    assert axes.get_legend().get_title().get_text() == "mean, thin lines for each seed"


def test_runs_that_never_have_numbers_together_have_no_mean(drawn, tmp_path):
    for seed, rows in enumerate((range(1, 9), range(9, 17))):
        made(tmp_path / str(seed), [row(g) for g in rows], env="brax/ant", seed=seed)
    (axes,) = plots.compare([tmp_path / "0", tmp_path / "1"], tmp_path / "all.png").axes
    assert [list(line.get_xdata()) for line in axes.get_lines()] == [[], [40, 80], [120, 160]]


def test_another_axis_is_refused(run, tmp_path):
    with pytest.raises(ValueError, match="x must be 'steps', 'seconds' or 'generation', got 'time'"):
        plots.compare([run], tmp_path / "x.png", x="time")


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no run to plot"):
        plots.reward(tmp_path)


def test_a_single_point_is_seen(drawn, tmp_path):
    more = {"episode_length": 7.0, "sigma": 0.1, "grad_norm": 3.0, "evaluation": 2.0, "evaluation_std": 0.5}
    run = made(tmp_path / "run", [row(1, **more)], env="brax/ant", seed=0)
    figure = plots.reward(run)
    assert "after 1 generation, " in figure._suptitle.get_text()
    (axes,) = plots.compare([run], tmp_path / "one.png").axes
    lines = [line for panel in (*figure.axes, axes) for line in panel.get_lines() if len(line.get_xdata()) == 1]
    assert len(lines) == 7 + 2  # caps of the error bar
    assert {line.get_marker() for line in lines} == {"o", "_"}


def test_the_legend_hides_no_line(drawn):
    (axes,) = plots.sweep(["sigma 0.1"], np.ones((1, 2, 2)), [5, 10], "sweep.png", "brax/ant").axes
    legend = axes.get_legend()
    assert legend.get_frame().get_alpha() == 1.0
    assert legend.get_bbox_to_anchor().x0 > axes.bbox.x1


def test_a_flat_score_looks_flat(drawn, tmp_path):
    rows = [row(g, evaluation=1000.0 + 1e-6 * g, evaluation_std=0.0) for g in range(1, 9)]
    (axes,) = plots.compare([made(tmp_path / "run", rows, env="brax/ant", seed=0)], tmp_path / "one.png").axes
    low, high = axes.get_ylim()
    assert low < 991 and high > 1009
    assert not axes.yaxis.get_major_formatter().get_useOffset()
