"""From stored results to what claims are judged by, and the commands that make what is missing."""
