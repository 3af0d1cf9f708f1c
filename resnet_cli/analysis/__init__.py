"""Why it happens: experiments on trained nets, one module each. They read stored runs and give DataFrames."""
