"""How the package of a new plugin is written, for its author to change."""
