"""How good the models are, from a report of the pipeline: confusion, curves, and what became of labels."""

from __future__ import annotations

from infra.monitor.drawn import CalibrationGroup, ModelQuality, Span
from models.curves import calibration, roc
from models.scores import folded
from streams.adding import PipelineModel, PipelineReport
from streams.records import ConfusionCell

CLASSES_MAX = 12
"""Classes that a confusion matrix is drawn of; the others are one."""


def span(report: PipelineReport) -> Span:
    """The span that a report is of."""
    return Span(
        start_time_ms=report.window_start_time_ms,
        end_time_ms=report.window_end_time_ms,
        records=report.records,
        rejects=report.rejects,
        repairs=report.repairs,
        labels=report.labels,
        predicted=report.predicted,
        pending_labels=report.pending_labels,
        label_delay_bounds_ms=report.label_delay_bounds_ms,
        label_delay_counts=report.label_delay_counts,
        label_delay_sum_ms=report.label_delay_sum_ms,
        models=[_quality(model) for model in report.models],
    )


def _quality(model: PipelineModel) -> ModelQuality:
    counts = model.counts
    cells = {(cell.label, cell.prediction): cell.count for cell in counts.confusion}
    return ModelQuality(
        model=model.model,
        role=max(model.roles, key=lambda each: each.count).name,
        versions=model.versions,
        values=model.values,
        confusion=[ConfusionCell(*cell, count) for cell, count in folded(cells, CLASSES_MAX).items()],
        roc=[list(point) for point in roc(counts.bins, counts.negatives, counts.positives)],
        calibration=[
            CalibrationGroup(*group) for group in calibration(counts.bins, counts.negatives, counts.positives)
        ],
    )
