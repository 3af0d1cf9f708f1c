"""The documents' claims, each with a function that tests it on a DataFrame."""
