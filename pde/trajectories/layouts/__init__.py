"""Layouts of files: one module for each kind, from the file to fields by name over axes by name."""

from .contents import ATTRIBUTES as ATTRIBUTES
from .contents import ENOUGH as ENOUGH
from .contents import FORMAT as FORMAT
from .contents import SAMPLE as SAMPLE
from .contents import SHARE_OF_MEMORY as SHARE_OF_MEMORY
from .contents import TIME as TIME
from .contents import Contents as Contents
from .contents import Field as Field
from .contents import Nodes as Nodes
from .contents import Wanted as Wanted
from .contents import attributes_of as attributes_of
from .contents import one_file as one_file
from .reading import read as read
