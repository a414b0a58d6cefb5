"""Metrics, settings and pictures reach TensorBoard, Weights & Biases, MLflow and Trackio."""

import importlib.metadata
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

import jaxes
from jaxes.support import extras
from jaxes.training import metrics, tracking

KEY = jax.random.key(0)


def run(folder, generations=6, **options):
    options = {"evaluate": lambda p, s, k: -jnp.sum(p["x"] ** 2), "evaluate_every": 3, "report_every": 3, **options}
    settings = {"env": "toys/sphere", "sigma": 0.1, "hidden": (4, 4), "note": None}
    options = {"key": KEY, "progress": False, "out": folder, "settings": settings, **options}
    return list(jaxes.fit(jaxes.open_es(8, 0.1), toys.sphere(), {"x": jnp.ones(3)}, generations=generations, **options))


def events(folder):
    """What TensorBoard's files hold: tag -> [(step, value)]."""
    from tensorboardX.proto.event_pb2 import Event

    found: dict[str, list] = {}
    for path in sorted(folder.glob("events*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 8], "little")
            event = Event.FromString(data[at + 12 : at + 12 + size])
            at += 12 + size + 4
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value))
    return found


def test_the_events_of_tensorboard_are_grouped(tmp_path):
    reports = run(tmp_path)
    held = events(tmp_path)
    groups = {tag.partition("/")[0] for tag in held if not tag.startswith("_")}
    assert groups == {"score", "search", "speed"}
    assert [step for step, _ in held["score/evaluation"]] == [3, 6]
    assert [value.simple_value for _, value in held["score/evaluation"]] == [r.evaluation for r in reports]
    assert held["search/sigma"][0][1].simple_value == np.float32(0.1)
    assert [value.simple_value for _, value in held["speed/steps"]] == [24, 48]


def test_the_events_have_the_hyper_parameters(tmp_path):
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    run(tmp_path)
    (start,) = (value for _, value in events(tmp_path)["_hparams_/session_start_info"])
    told = HParamsPluginData.FromString(start.metadata.plugin_data.content).session_start_info.hparams
    assert {name: told[name].number_value or told[name].string_value for name in told} == {
        "settings.env": "toys/sphere",
        "settings.sigma": 0.1,
        "settings.hidden": "4 4",
        "written_by": "jaxes.fit",
    }


def test_pictures_are_sent_as_they_are(tmp_path):
    run(tmp_path)
    gif = b"GIF89a" + (480).to_bytes(2, "little") + (360).to_bytes(2, "little") + b"the rest"
    (tmp_path / "episode.gif").write_bytes(gif)
    metrics.send_pictures(tmp_path, None)
    held = events(tmp_path)
    ((step, picture),) = held["episode"]
    assert (step, picture.image.width, picture.image.height) == (6, 480, 360)
    assert picture.image.encoded_image_string == gif
    ((_, curve),) = held["reward"]
    assert curve.image.encoded_image_string == (tmp_path / "reward.png").read_bytes()


class Fake:
    """Stands for a package: keeps all calls, with the same names and arguments as the real one has."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        def call(*args, **kwargs):
            self.calls.append((name, args, kwargs))
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id="r1")) if name == "start_run" else self

        return call

    def of(self, name):
        return [(args, kwargs) for called, args, kwargs in self.calls if called == name]


@pytest.fixture
def package(request, monkeypatch):
    fake = Fake()
    monkeypatch.setitem(sys.modules, request.param, fake)
    return fake


SETTINGS = {"written_by": "jaxes.fit", "settings.env": "toys/sphere", "settings.sigma": 0.1, "settings.hidden": "4 4"}


@pytest.mark.parametrize("package", ["wandb"], indirect=True)
def test_wandb(package, tmp_path):
    reports = run(tmp_path / "run", track="wandb")
    ((_, begun),) = package.of("init")
    assert begun["project"] == "jaxes" and begun["name"] == "run" and begun["resume"] == "allow"
    assert begun["config"] == SETTINGS
    rows = [args[0] for args, _ in package.of("log")]
    assert [row["generation"] for row in rows] == [3, 6]
    assert rows[-1]["score/evaluation"] == reports[-1].evaluation
    assert (("*",), {"step_metric": "generation"}) in package.of("define_metric")
    assert len(package.of("finish")) == 1
    run(tmp_path / "run", generations=9, resume=True, track="wandb")
    assert package.of("init")[-1][1]["id"] == begun["id"]
    metrics.send_pictures(tmp_path / "run", "wandb")
    assert package.of("Image") == [((str(tmp_path / "run/reward.png"),), {})]
    assert package.of("init")[-1][1]["id"] == begun["id"] and len(package.of("finish")) == 3


@pytest.mark.parametrize("package", ["mlflow"], indirect=True)
def test_mlflow(package, tmp_path):
    run(tmp_path / "run", track="mlflow")
    assert package.of("set_experiment") == [(("jaxes",), {})]
    assert package.of("start_run") == [((), {"run_id": None, "run_name": "run"})]
    assert package.of("log_params") == [((SETTINGS,), {})]
    assert [kwargs for _, kwargs in package.of("log_metrics")] == [{"step": 3}, {"step": 6}]
    run(tmp_path / "run", generations=9, resume=True, track="mlflow")
    assert package.of("start_run")[-1] == ((), {"run_id": "r1", "run_name": None})
    assert len(package.of("log_params")) == 1  # they cannot be logged twice
    metrics.send_pictures(tmp_path / "run", "mlflow")
    assert package.of("log_artifact") == [((str(tmp_path / "run/reward.png"),), {})]
    assert len(package.of("end_run")) == 3


@pytest.mark.parametrize("package", ["trackio"], indirect=True)
def test_trackio(package, tmp_path):
    run(tmp_path / "run", track="trackio")
    ((_, begun),) = package.of("init")
    assert begun["project"] == "jaxes" and begun["config"] == SETTINGS
    assert [kwargs for _, kwargs in package.of("log")] == [{"step": 3}, {"step": 6}]
    metrics.send_pictures(tmp_path / "run", "trackio")
    assert package.of("init")[-1][1]["name"] == begun["name"]
    assert package.of("Image") == [((str(tmp_path / "run/reward.png"),), {})]
    assert len(package.of("finish")) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["wandb", "mlflow", "trackio"])
def test_the_packages_themselves_take_it(kind, tmp_path, monkeypatch, capsys):
    """Where they are installed; nothing leaves the machine."""
    package = pytest.importorskip(kind)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.chdir(tmp_path)
    reports = run(tmp_path / "run", track=kind)
    run(tmp_path / "run", generations=9, resume=True, track=kind)
    metrics.send_pictures(tmp_path / "run", kind)
    assert "is left out" not in capsys.readouterr().err
    if kind == "wandb":
        assert len(list((tmp_path / "run/wandb").glob("offline-run-*"))) == 3
    if kind == "mlflow":
        (found,) = package.MlflowClient().search_runs(
            [package.MlflowClient().get_experiment_by_name("jaxes").experiment_id]
        )
        assert found.data.params["settings.hidden"] == "4 4"
        history = package.MlflowClient().get_metric_history(found.info.run_id, "score/evaluation")
        assert [(m.step, m.value) for m in history][:2] == [(r.generation, r.evaluation) for r in reports]


@pytest.mark.parametrize(
    ("package", "call"),
    [("wandb", "init"), ("wandb", "log"), ("wandb", "finish"), ("mlflow", "log_params"), ("trackio", "log")],
    indirect=["package"],
)
def test_what_fails_there_does_not_end_the_run(package, call, tmp_path, capsys, request):
    def fails(*_, **__):
        raise ConnectionError("nobody answers")

    setattr(package, call, fails)
    kind = request.node.callspec.params["package"]
    undisturbed = run(tmp_path / "other")[-1]
    last = run(tmp_path / "run", track=kind)[-1]
    assert last.generation == 6 and last.evaluation == undisturbed.evaluation
    assert len(metrics.read(tmp_path / "run")) == 2
    assert capsys.readouterr().err.count(f"{kind} is left out from here on: nobody answers") == 1


@pytest.mark.parametrize("kind", ["wandb", "mlflow", "trackio"])
def test_a_missing_package_is_told_before_any_work(kind, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, kind, None)
    with pytest.raises(ImportError, match=rf"pip install .*\(the extra '{kind}' of jaxes\)"):
        run(tmp_path / "run", track=kind)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("package", ["wandb"], indirect=True)
def test_unknown_trackers_are_refused(package, tmp_path):
    with pytest.raises(ValueError, match="unknown tracker 'paper'; known: wandb, mlflow, trackio"):
        run(tmp_path / "run", track="paper")
    with pytest.raises(ValueError, match="track needs out"):
        run(None, track="wandb")


def test_every_column_of_a_rollout_has_its_group():
    names = ("generation", "steps", "seconds", "best", "sigma", "episode_length", "games")
    row = dict.fromkeys(names, 1.0)
    assert set(tracking.grouped(row)) == {
        "speed/steps",
        "speed/seconds",
        "score/best",
        "search/sigma",
        "episodes/episode_length",
        "problem/games",
    }


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("paper", "pip install 'ink>=2' paper"),
        ("pen", "pip install 'pen[blue]<3'"),
        ("nosuch", "pip install module"),
    ],
)
def test_an_extra_is_installed_by_the_names_of_its_packages(extra, command, monkeypatch):
    needs = ["jax>=0.8", "ink>=2; extra == 'paper'", 'paper; extra == "paper"']
    needs.append("pen[blue]<3; python_version < '4' and extra == 'pen'")
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: needs)
    assert extras.install(extra, "module") == command
    assert str(extras.missing("module", extra, ImportError("gone"))).startswith(
        f"module is not installed (gone): {command} (the extra '{extra}' of jaxes)"
    )
