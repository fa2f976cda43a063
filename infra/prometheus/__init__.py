"""What Prometheus and Grafana need to know of riverrun: where its processes are, what to work out, when to raise alarm.

The files beside this module are all of it, and are as they are used: `riverrun prometheus` copies them.
"""
