"""Topics to tables: what the pipeline wrote, kept as Parquet files that anyone can query."""
