"""From a request to runs."""
