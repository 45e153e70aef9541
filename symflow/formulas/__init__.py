"""Formulas as data: the parser, and how they are written for people."""

from .notation import format_generator as format_generator
from .tables import text_table as text_table
