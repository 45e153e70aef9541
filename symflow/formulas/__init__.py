"""Formulas as data: the parser, and how they are written for people."""

from .notation import format_generator as format_generator
from .shown import Rows as Rows
from .shown import Tabled as Tabled
from .tables import text_table as text_table
