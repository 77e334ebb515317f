"""Errors that the user can fix: one line that names the place and the fix, without a traceback."""


class SuiteError(Exception):
    """An error that the user can fix. The command line prints it and exits with the status `EXIT_STATUS`."""

    EXIT_STATUS = 2


class DataError(SuiteError):
    """The data cannot be used: for example a missing column, an unreadable file, or an unknown data set."""


class BaselineError(SuiteError):
    """The exported model is not as good as its best baseline, although that was required."""

    EXIT_STATUS = 3


class ExportError(SuiteError):
    """A model cannot be loaded, or a version could not be written or failed its verification and was not published."""
