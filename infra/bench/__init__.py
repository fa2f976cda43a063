"""Capacity: what a pipeline costs on this machine, and what a rate of events would need.

draw, stream, recorded    the records that a pipeline is measured with
running, measure          the pipeline at work on a broker of its own        → Costs
costs, queueing, plan     what follows for a rate: pure, no I/O              → Plan
shown, page               the same for people: a terminal, docs/capacity.md
"""
