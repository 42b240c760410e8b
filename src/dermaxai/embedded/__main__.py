"""Train the embedded default from its recipe.

`python -m dermaxai.embedded recipes/demo.toml --data DIR --out DIR`
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from dermaxai.errors import DermaXAIError


def main() -> int:
    """Run the stages of a recipe; each resumes where an interruption left it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="HAM10000 as its publisher ships it")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=("encoder", "language", "captioner", "figures"))
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    from dermaxai.embedded.demo import train_demo

    try:
        train_demo(
            arguments.recipe, arguments.data, arguments.out, only=arguments.only, threads=arguments.threads
        )
    except DermaXAIError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
