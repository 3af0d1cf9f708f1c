"""Speed and memory, as ratios that are measured within one run; see README.md."""
