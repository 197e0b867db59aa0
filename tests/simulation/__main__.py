"""python -m tests.simulation --seeds 0:300 --jobs 2"""

import sys

from tests.simulation.proof import people

if __name__ == "__main__":
    sys.exit(people())
