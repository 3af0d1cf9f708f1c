"""What to run, as plain values: ranges, runs, sweeps, configuration files, progress events. No torch here."""
