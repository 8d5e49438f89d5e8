"""Reports as one HTML file each: no network, no chart library, light and dark."""
