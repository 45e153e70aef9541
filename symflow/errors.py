"""The one exception that stands for a user's mistake."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in what the user gave: arguments, files, equations.

    The message is one sentence that names the argument, what was expected and what came. The command line prints
    it without a traceback and exits with code 2.
    """
