"""What the command line is made of; nothing here imports torch."""
