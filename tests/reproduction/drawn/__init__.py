"""A domain with two studies that draw numbers, slowly enough to be killed."""
