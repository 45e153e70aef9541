"""Classes of fields: polynomial ones, those of a network, and their closed forms."""
