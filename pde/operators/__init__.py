"""Neural operators trained with and without symmetries."""

from .comparison import compare_operators as compare_operators
from .operators import Operator as Operator
from .outcome import OperatorComparison as OperatorComparison
from .windows import Task as Task
