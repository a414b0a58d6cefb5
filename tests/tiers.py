"""What `make test-all` adds to `make test`: the tests that are marked `extended`, by module.

The first tier runs every mechanism and every strategy once; the second one adds documents, programs in processes of
their own, and further cases of what the first has seen already. Entries are names of tests, with or without their
parameters; "" stands for the whole module.
"""

EXTENDED: dict[str, tuple[str, ...]] = {
    "test_benchmarks": ("",),
    "test_benchmarks_learning": ("",),
    "test_benchmarks_minimize": ("",),
    "test_documents": (
        "test_readme_snippet",
        "test_notebook",
    ),
    "test_examples": ("",),
    "test_lanewise_rollouts": ("test_strict_mode_gives_the_same_bits_on_any_number_of_devices",),
    "test_rl_fleet": ("",),
    "test_rl_brax": (
        "test_a_policy_learns",
        "test_its_counts",
    ),
    "test_cli": (
        "test_ctrl_c_saves_and_the_resumed_run_ends_with_the_bits_of_an_undisturbed_one",
        "test_any_policy_is_restored[options1]",
        "test_nobody_has_to_read_to_the_end",
        "test_resuming_is_quiet_about_its_checkpoint",
        "test_the_folder_of_train_goes_on_by_fit_and_remains_one_of_train",
    ),
    "test_cli_minimize": ("test_ctrl_c_prints_what_was_found_and_the_search_goes_on",),
    "test_plain_search": ("test_compiled_programs_outlive_a_process",),
    "test_minimize_noisy": ("test_the_optimum_under_additive_noise[ellipsoid",),
    "test_minimize_doors": (
        "test_beside_optunas_own",
        "test_a_study_goes_on_from_its_storage[sqlite]",
    ),
    "test_contract": (
        "test_any_subset_is_the_same_in_strict_mode",
        "test_scan_is_loop_is_chunks[differential_evolution]",
        "test_scan_is_loop_is_chunks[particle_swarm]",
        "test_scan_is_loop_is_chunks[snes]",
        "test_scan_is_loop_is_chunks[open_es, ",
    ),
    "test_envs_tetris": ("test_cross_entropy_learns",),
    "test_proof": ("test_scale_and_place_of_the_fitness[simple_ga]",),
    "test_rl_episodes": ("test_every_mode_gives_the_same[three episodes-",),
    "test_envs_gymnasium": (
        "test_ids_that_workers_can_make[registered.Walk-",
        "test_choices_are_one_hot_and_parts_follow_each_other[discrete from 3]",
        "test_choices_are_one_hot_and_parts_follow_each_other[multi of two axes]",
        "test_choices_are_one_hot_and_parts_follow_each_other[binary]",
        "test_boxes_stay_boxes[list]",
        "test_every_kind_of_action_is_one_of_its_space[multi]",
        "test_every_kind_of_action_is_one_of_its_space[multi of two axes]",
        "test_every_kind_of_action_is_one_of_its_space[binary]",
        "test_an_id_of_the_users_script_is_refused_before_any_work['__main__:Mine']",
    ),
    "test_envs_bipedal_walker": (
        "test_it_is_an_environment_of_gymnasium_and_can_be_drawn",
        "test_niches_can_be_mapped_over_their_genes",
    ),
    "test_envs_planar_box2d": (
        "test_a_jointed_pair_on_the_edge_of_a_pit",
        "test_a_walker_moves_as_gymnasiums",
    ),
    "test_envs": (
        "test_swimmer_swims",
        "test_raw_semantics_equal_brax",
    ),
    "test_keys": ("test_a_strategy_draws_every_key_in_one_place",),
    "test_lowrank": (
        "test_low_precision_under_strict_promotion[float]",
        "test_weights_of_eight_bits[transformer, tied embedding]",
        "test_weights_of_eight_bits[CNN]",
        "test_a_rollout_plays_members_by_their_factors[gru-refill]",
        "test_the_gradient_is_the_sum_over_dense_perturbations[CNN]",
        "test_the_gradient_is_the_sum_over_dense_perturbations[GRU in a scan]",
        "test_a_convolutional_model_through_an_objective",
        "test_shapes_may_change_on_the_way",
        "test_low_precision_under_strict_promotion[int8]",
        "test_every_strategy_with_a_gradient_takes_it[esmc]",
        "test_every_strategy_with_a_gradient_takes_it[nres]",
        "test_every_strategy_with_a_gradient_takes_it[pes]",
    ),
    "test_minimization": (
        "test_restarts[ipop]",
        "test_restarts[6]",
    ),
    "test_parallel": (
        "test_any_number_of_devices_gives_the_same_bits",
        "test_two_processes_and_one_give_the_same_bits",
        "test_a_large_model_may_be_sharded_too",
        "test_one_sum_a_device_agrees_to_rounding",
        "test_scalars_are_all_that_is_sent",
    ),
    "test_rl_host": (
        "test_workers_that_hang_are_replaced_and_then_given_up",
        "test_it_tells_how_far_a_long_generation_is",
        "test_members_of_low_rank_are_played_by_their_factors",
    ),
    "test_stream": (
        "test_one_pass_moves_as_two_do[sphere-",
        "test_one_pass_moves_as_two_do[<lambda>-identity-",
    ),
    "test_supervised": (
        "test_low_rank_members_are_what_they_stand_for[MLP-bfloat16]",
        "test_low_rank_members_are_what_they_stand_for[CNN-float32]",
        "test_low_rank_members_learn[MLP-",
        "test_low_rank_members_are_what_they_stand_for[CNN-bfloat16]",
    ),
    "test_sweeping": ("test_other_numbers_and_none",),
    "test_training_leaves": (
        "test_the_caller_may_catch_it",
        "test_a_signal_ends_it",
        "test_ctrl_c_is_answered_in_the_command_line",
        "test_the_second_ctrl_c",
    ),
    "test_video": (
        "test_on_the_command_line",
        "test_page",
    ),
    "test_wrappers": (
        "test_restarts_with_growing_populations_find_the_lowest_valley[bipop]",
        "test_a_wrapped_strategy_keeps_the_contract[reevaluated, adaptive]",
        "test_a_wrapped_strategy_keeps_the_contract[bounded, smooth]",
        "test_uncertainty_tells_noise_from_none",
    ),
    "test_doctests": ("",),
    "test_trees": (
        "test_members_climb_whatever_the_tree[cma_es]",
        "test_members_climb_whatever_the_tree[open_es, low_rank]",
        "test_a_rollout_plays_a_policy_of_any_tree[gaussian]",
    ),
    "test_cma_es": (
        "test_evaluations_against_cma[ellipsoid]",
        "test_evaluations_against_cma[rosenbrock]",
    ),
}


def is_extended(module: str, test: str) -> bool:
    """Whether a test, named with its parameters, belongs to the second tier."""
    return any(test.startswith(name) for name in EXTENDED.get(module, ()))


def unknown(tests: set[tuple[str, str]]) -> list[str]:
    """Entries that stand for none of the tests, which are pairs of module and name."""
    modules = {module for module, _ in tests}
    return [
        f"{module}::{name}"
        for module, names in EXTENDED.items()
        for name in names
        if module in modules and not any(module == other and test.startswith(name) for other, test in tests)
    ]
