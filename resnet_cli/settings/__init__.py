"""What to run, as plain values: ranges, runs, sweeps, configuration files, progress events. Does not import torch."""
