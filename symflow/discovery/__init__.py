"""Discovery: which vector fields keep the data of a problem valid, as named stages over one state."""
