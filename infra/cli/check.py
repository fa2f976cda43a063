"""``riverrun check``: mistakes in a pipeline, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def check(file: Annotated[Path, typer.Argument(help="The Python file that declares the pipeline.")]) -> None:
    """Find mistakes in a pipeline before anything runs, and say how to mend each.

    With a cluster at hand (RIVERRUN_BOOTSTRAP_SERVERS, or a running embedded broker) its topics are compared too.
    """
    from infra.settings import Settings
    from infra.topics import unequal_topics
    from streams.check import check as findings_of
    from streams.pipeline import load_pipeline

    pipeline = load_pipeline(file)
    findings = [*findings_of(pipeline), *unequal_topics(pipeline, Settings.load())]
    for finding in findings:
        typer.echo(f"{finding.where}: {finding.what}\n    remedy: {finding.remedy}")
    if findings:
        raise typer.Exit(1)
    inputs, learners = len(pipeline.inputs), ", ".join(learner.name for learner in pipeline.learners)
    typer.echo(f"{pipeline.name}: no mistakes found in {inputs} inputs and the learners {learners}")
