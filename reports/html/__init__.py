"""Reports as HTML files that need no network and no chart library, in light and dark colors."""
