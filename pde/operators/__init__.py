"""Neural operators trained with and without symmetries."""

from .comparison import compare_operators as compare_operators
from .operators import Operator as Operator
from .operators import Task as Task
from .outcome import OperatorComparison as OperatorComparison
