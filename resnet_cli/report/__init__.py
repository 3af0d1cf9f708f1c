"""One HTML page about the results in a folder: what they say, every figure, every run, and how to repeat it all."""
