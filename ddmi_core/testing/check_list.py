"""The list of all checks in execution order; checks that others depend on come first."""

from __future__ import annotations

from ddmi_core.errors import RequestError, unknown_name
from ddmi_core.testing.check import PREFIX, Check
from ddmi_core.testing.contract import (
    coordinates,
    data,
    description,
    devices,
    encoding,
    exports,
    fields,
    inputs,
    learning,
    losses,
    measures,
    rendering,
    surroundings,
)

IN_THIS_PROCESS = tuple(
    map(
        Check,
        (
            description.check_api_version,
            description.check_implementation,
            description.check_names,
            description.check_settings,
            description.check_presets,
            data.check_data_load,
            data.check_names_and_labels,
            data.check_held_out_is_apart,
            data.check_signals_move,
            data.check_values,
            data.check_batches_repeat,
            data.check_augmentation_repeats,
            inputs.check_inputs_are_left,
            encoding.check_encoder,
            encoding.check_encoder_sees_signals,
            encoding.check_decoder,
            encoding.check_signals_are_coded_alone,
            encoding.check_weights_are_all,
            coordinates.check_queries,
            coordinates.check_patches,
            coordinates.check_sampler_repeats,
            coordinates.check_sampler_covers,
            coordinates.check_targets,
            coordinates.check_extra_columns,
            fields.check_decode,
            fields.check_observe,
            fields.check_points_are_independent,
            fields.check_lattice_agrees_with_points,
            fields.check_observe_agrees_with_render,
            fields.check_fields_are_stored,
            devices.check_devices,
            rendering.check_native_size,
            rendering.check_render_sizes,
            rendering.check_render_repeats,
            rendering.check_render_leaves_no_gradient,
            rendering.check_original,
            rendering.check_views,
            rendering.check_pictures,
            losses.check_loss,
            losses.check_loss_is_least_at_the_target,
            losses.check_likelihood,
            losses.check_perceptual,
            measures.check_metrics,
            measures.check_describe,
            measures.check_conditions,
            learning.check_autoencoder_learns,
            learning.check_gradients_reach_weights,
            learning.check_training_changes_weights,
            learning.check_denoiser_learns,
            learning.check_samples_render,
            learning.check_evaluations,
            exports.check_exporters,
            exports.check_exporters_repeat,
            exports.check_exporters_pass_errors_on,
            exports.check_files_read_back,
            exports.check_bad_files,
            exports.check_bad_folders,
            description.check_weights,
        ),
    )
)
IN_A_FRESH_PROCESS = tuple(
    map(
        Check,
        (
            description.check_description_is_light,
            data.check_fingerprints,
            fields.check_cpu,
            surroundings.check_imports_are_quick,
            surroundings.check_no_network,
            surroundings.check_global_state,
            surroundings.check_nothing_is_left,
        ),
    )
)


CHECKS: tuple[Check, ...] = IN_THIS_PROCESS + IN_A_FRESH_PROCESS


def check_named(name: str) -> Check:
    """A check by its name, with or without `check_`.

    Raises:
        RequestError: if there is none.
    """
    known = {check.name: check for check in CHECKS}
    plain = name.removeprefix(PREFIX)
    if plain not in known:
        raise RequestError(unknown_name("check", plain, known))
    return known[plain]
