"""The search for settings of pre-training that suit the images at hand."""
