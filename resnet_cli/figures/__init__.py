"""The figures: one module each, with a shared style. They take DataFrames and know nothing of folders."""
