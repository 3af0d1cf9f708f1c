"""Why it happens: experiments on trained nets, one module each. They take stored runs and return DataFrames."""
