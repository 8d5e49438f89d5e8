"""What is known of plugins, read without importing them, and how it is printed."""
