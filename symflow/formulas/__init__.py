"""Formulas as data: the parser, and how they and tables of them are written for people."""

from .notation import format_generator as format_generator
from .tables import plain as plain
