"""The monitor: one live picture of all pipelines, merged from what their tasks report, on a Faust control plane."""
