"""`python -m tests.faults`. What a spawned process runs cannot stand here: it is looked for in a module of a name."""

from tests.faults.table import main

if __name__ == "__main__":
    main()
