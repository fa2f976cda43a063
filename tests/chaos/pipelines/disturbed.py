"""The run that chaos is let loose on."""

from tests.chaos.pipelines.rides import declare

pipeline = declare("disturbed")
