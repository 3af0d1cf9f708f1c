"""What is kept: file layout, atomic writes, reading into pandas."""
