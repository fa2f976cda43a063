"""Measurements: ``make bench`` and, by hand, ``page.py``. What they found is in docs/performance.md.

bench.py              runs the sections; writes build/bench.json and build/bench.md
sections/             what is measured, a section a file
contenders/, peers/   who is measured, and the other stream processors' locked environments
workload.py           the stream and the model, flights.py those of the example; *_pipeline.py: as riverrun's
cluster.py            broker, processes, and the consumer that counts committed predictions
tables.py, targets.py what is printed
page.py, clicks.py, feed.py   the monitor's page under load
"""
