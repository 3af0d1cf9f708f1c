"""Doing it: plan, executors, resume."""
