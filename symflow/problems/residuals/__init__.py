"""Residuals under motions: how they respond, in which units, and whether they can be used at all."""
