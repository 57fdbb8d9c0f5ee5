"""``python -m recgym``: the same as the command ``recgym``; ``demo`` is what ``make demo`` runs."""

from recgym.cli import main

if __name__ == "__main__":
    main()
