"""Doing it: units of work, executors, resume."""
