"""The documents' claims: each a question with a way to answer it from a DataFrame."""
