"""Where batches go: this process, local workers, a Dask or a Ray cluster."""
