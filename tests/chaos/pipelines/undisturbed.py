"""The run that everything is compared with."""

from tests.chaos.pipelines.rides import declare

pipeline = declare("undisturbed")
