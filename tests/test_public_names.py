"""No public name is lost: what users import is what they imported before."""

import importlib

import pytest

NAMES = {
    "jaxes": """
        Block ESOpt Info Problem Report STRATEGIES Strategy ars asebo cem check clip_up cma_es cr_fm_nes
        differential_evolution discovered_es envs es_value_and_grad esmc fit flatten_params generation gesmr_ga
        gradientless_descent guide guided_es hill_climbing iamalgam lanewise lm_ma_es load lowrank ma_es materialize
        minimize minimize_function mr15_ga nes noise nres open_es optuna_sampler parallel particle_swarm pes pgpe
        planning plots problem random_search rl rm_es run samr_ga scipy_method sep_cma_es shaping simple_es
        simple_ga simulated_annealing snes strict supervised sv_cma_es sv_open_es training unrolled vd_cma_es vmap
        wrappers xnes
    """,
    "jaxes.envs": """
        Box Discrete Env EnvState Listed MultiDiscrete SUITES action_size check check_name listing make names
        observation_size register repeated
    """,
    "jaxes.envs.tetris": """
        Afterstates FEATURES Game MAX_STEPS NAMES SHAPES bcts bertsekas dellacherie heights make place table
    """,
    "jaxes.lowrank": """
        Entry LowRank Plan Split Use any_low_rank common dense each explain interleaved is_low_rank materialize own
        plan structured vmap whole
    """,
    "jaxes.parallel": """
        AXIS Comm Processes Sent block_by_block is_strict join local mesh replicated spread started strict traffic
    """,
    "jaxes.planning": """
        Belief Episode Planner cem_mpc episode random_shooting simulator
    """,
    "jaxes.rl": """
        CNN Episodes GRU LSTM MLP Normalizer Policy Values VirtualBatchNorm cnn evaluation gru lstm mlp play policy
        reference_batch rollout uncapped_mean values
    """,
    "jaxes.strategies": """
        STRATEGIES ars asebo cem cma_es cr_fm_nes differential_evolution discovered_es esmc gesmr_ga
        gradientless_descent guide guided_es hill_climbing iamalgam lm_ma_es ma_es mr15_ga nes nres open_es
        particle_swarm pes pgpe random_search rm_es samr_ga sep_cma_es simple_es simple_ga simulated_annealing snes
        sv_cma_es sv_open_es vd_cma_es xnes
    """,
    "jaxes.supervised": """
        Data State correct digits held_out mnist problem read_idx sine
    """,
    "jaxes.training": """
        Config Interrupted Report Sweep Trained build fit load prepare resume sweep to_resume train
    """,
    "jaxes.wrappers": """
        bounded integer keep_best reevaluated restarted
    """,
    "jaxes.noise": """
        NOISES Noise colored gaussian low_rank noise_of orthogonal rademacher subset table
    """,
    "jaxes.shaping": """
        boltzmann centered_rank centered_sign_rank finite identity is_affine nes_utilities normalized_rank sign
        slope top z_score
    """,
    "jaxes.termination": """
        Monitor Tolerances start watch
    """,
}


@pytest.mark.parametrize("package", NAMES)
def test_names(package):
    module = importlib.import_module(package)
    missing = [name for name in NAMES[package].split() if not hasattr(module, name)]
    assert not missing
    assert not set(getattr(module, "__all__", ())) - set(NAMES[package].split()), "a new name belongs in the list"
