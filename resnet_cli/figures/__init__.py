"""What people look at: one module per figure, one shared style. Figures take DataFrames and know no folder."""
