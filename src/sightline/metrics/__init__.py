"""Whether a map is true: faithfulness, localisation, complexity, robustness, randomisation, counterfactuals.

Pure functions on batches of maps over any domain, each registered in `METRICS` with its direction, range, price and
limits; a shell with memory around them; bootstrap intervals. No explainer is known here.
"""

from sightline.common.modes import restored
from sightline.common.statistics.bootstrap import Interval, bootstrap, macro_average, paired_difference
from sightline.common.statistics.correlation import spearman
from sightline.metrics.accumulator import Metric
from sightline.metrics.baselines import blur, filler
from sightline.metrics.complexity import effective_complexity, entropy, sparseness
from sightline.metrics.counterfactual import counterfactual_agreement, counterfactual_shift, movement
from sightline.metrics.curves import Curve, deletion_curve, insertion_curve
from sightline.metrics.deletion import aopc, deletion, insertion, road, road_accuracy
from sightline.metrics.elements import Elements, lay, on_grid, ranks
from sightline.metrics.imputation import impute
from sightline.metrics.inference import InferenceCopy, inference_copy
from sightline.metrics.keypoints import hit_region, part_hits, part_localisation
from sightline.metrics.localisation import (
    concentration,
    energy_in_box,
    energy_in_mask,
    pointing_game,
    rank_accuracy,
)
from sightline.metrics.masking import average_drop, average_gain, average_increase, masked_scores
from sightline.metrics.masks import area, box_masks, centred_gaussian, dilate
from sightline.metrics.overlap import expected_iou, iou, iou_best
from sightline.metrics.parts import (
    TwoSided,
    completeness,
    deletion_check,
    distractibility,
    importances,
    painter,
    preservation_check,
    single_deletion,
    single_drops,
    two_sided,
)
from sightline.metrics.probe import Probe
from sightline.metrics.randomisation import (
    cascade,
    label_randomisation,
    layers_of,
    model_randomisation,
    randomisation_curve,
    similarity,
    smoothed,
    target_randomisation,
)
from sightline.metrics.registry import METRICS, MetricSpec, metric, table
from sightline.metrics.result import MetricResult, summarise
from sightline.metrics.robustness import max_sensitivity
from sightline.metrics.scores import REASONS, SampleStatus, Scores
from sightline.metrics.subsets import (
    RandomSubsets,
    infidelity,
    infidelity_of,
    random_subsets,
    sensitivity_n,
    subset_changes,
)

__all__ = [
    "METRICS",
    "REASONS",
    "Curve",
    "Elements",
    "InferenceCopy",
    "Interval",
    "Metric",
    "MetricResult",
    "MetricSpec",
    "Probe",
    "RandomSubsets",
    "SampleStatus",
    "Scores",
    "TwoSided",
    "aopc",
    "area",
    "average_drop",
    "average_gain",
    "average_increase",
    "blur",
    "bootstrap",
    "box_masks",
    "cascade",
    "centred_gaussian",
    "completeness",
    "concentration",
    "counterfactual_agreement",
    "counterfactual_shift",
    "deletion",
    "deletion_check",
    "deletion_curve",
    "dilate",
    "distractibility",
    "effective_complexity",
    "energy_in_box",
    "energy_in_mask",
    "entropy",
    "expected_iou",
    "filler",
    "hit_region",
    "importances",
    "impute",
    "inference_copy",
    "infidelity",
    "infidelity_of",
    "insertion",
    "insertion_curve",
    "iou",
    "iou_best",
    "label_randomisation",
    "lay",
    "layers_of",
    "macro_average",
    "masked_scores",
    "max_sensitivity",
    "metric",
    "model_randomisation",
    "movement",
    "on_grid",
    "painter",
    "paired_difference",
    "part_hits",
    "part_localisation",
    "pointing_game",
    "preservation_check",
    "random_subsets",
    "randomisation_curve",
    "rank_accuracy",
    "ranks",
    "restored",
    "road",
    "road_accuracy",
    "sensitivity_n",
    "similarity",
    "single_deletion",
    "single_drops",
    "smoothed",
    "sparseness",
    "spearman",
    "subset_changes",
    "summarise",
    "table",
    "target_randomisation",
    "two_sided",
]
