"""One reader for each layout in which image datasets are published: `Archive` -> `Listing`."""
