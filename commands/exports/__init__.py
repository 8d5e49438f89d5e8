"""What an encoder is written as for other programs; one file for each kind of format."""
