"""`python -m shared.cli` is the same as `lstm-suite`."""

import sys

from shared.cli import main

sys.exit(main())
