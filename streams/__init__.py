"""What a pipeline declares and how it runs: inputs, cleaning, windows, joins, tasks, the journal. Imports no client."""

from models.learner import Features
from streams.alerts import Alert
from streams.cleaning import Category, Missing, Range, Require
from streams.context import Context
from streams.errors import PipelineError
from streams.inputs import Events, Labels, Reference
from streams.joins import Table
from streams.pipeline import Pipeline, load_pipeline
from streams.schema import Event

__all__ = [
    "Alert",
    "Category",
    "Context",
    "Event",
    "Events",
    "Features",
    "Labels",
    "Missing",
    "Pipeline",
    "PipelineError",
    "Range",
    "Reference",
    "Require",
    "Table",
    "load_pipeline",
]
