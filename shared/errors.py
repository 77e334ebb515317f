"""The errors a user is meant to see: one line that names the place and the remedy, without a traceback."""


class SuiteError(Exception):
    """Something the user can put right. The command line prints it and exits with status 2."""


class DataError(SuiteError):
    """The data cannot be used as it is: a missing column, an unreadable file, an unknown data set."""


class ExportError(SuiteError):
    """A model version could not be written or did not stand its verification; nothing was published."""
