"""What the command line does, as functions: nothing in core/ needs any of it."""
