"""`python -m axsim` is the `axsim` command."""

from .cli import main

if __name__ == "__main__":
    main()
