"""``riverrun prometheus``: what Prometheus and Grafana need of us, as files."""

from __future__ import annotations

import typer


def prometheus() -> None:
    """Write what Prometheus and Grafana need into RIVERRUN_HOME/prometheus: scrape configuration, rules, a dashboard.

    All processes that serve metrics are found by themselves. What to do about each alert is in docs/runbook.md.
    """
    from shlex import quote

    from infra.prometheus.files import write_files
    from infra.prometheus.targets import folder
    from infra.settings import Settings

    where = folder(Settings.load().home).absolute()
    write_files(where)
    config, data = quote(str(where / "prometheus.yml")), quote(str(where / "data"))
    typer.echo(f"written to {where}; start Prometheus with", err=True)
    typer.echo(f"prometheus --config.file={config} --storage.tsdb.path={data} --web.listen-address=127.0.0.1:9090")
    typer.echo(f"in Grafana, import {where / 'grafana' / 'riverrun.json'}", err=True)
