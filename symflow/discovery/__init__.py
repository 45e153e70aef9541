"""Discovery: which vector fields keep the data of a problem valid, as named stages over one state."""

from symflow.discovery._discover import discover as discover
from symflow.discovery.clouds import distribution as distribution
from symflow.discovery.found import Found as Found
from symflow.discovery.problem import Problem as Problem
from symflow.discovery.problem import equivariance as equivariance
from symflow.discovery.problem import invariance as invariance
from symflow.discovery.stages import Stage as Stage
from symflow.discovery.stages import run_stages as run_stages
