"""Many MLPs that train at once: which runs go together, how their parameters lie in memory, and the engine."""
