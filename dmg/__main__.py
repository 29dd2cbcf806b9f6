"""`python -m dmg` is the command `dmg`."""

from dmg.cli import main

if __name__ == "__main__":
    main()
