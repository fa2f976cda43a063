"""The numbers of bench_tree.py, a forest of ten trees: much to learn from each event."""

from __future__ import annotations

from dataclasses import replace

from river.forest import ARFClassifier

from infra.bench.problems import bench_tree
from models import Learner

pipeline = replace(
    bench_tree.pipeline, name="bench_forest", champion=Learner("bench_forest", ARFClassifier(n_models=10, seed=1))
)
