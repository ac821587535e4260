#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The cost of picking the next VP among up to 10,000: the program of sched.c, also a unit test.

    sched.py --build FOLDER [--short]
"""

import argparse
import subprocess
import sys
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--build", type=Path, required=True)
parser.add_argument("--short", action="store_true")
parser.add_argument("--full", action="store_true")
sys.exit(subprocess.run([parser.parse_args().build / "tests" / "bench" / "bench-sched"],
                        timeout=120, check=False).returncode)
