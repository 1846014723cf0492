"""`python -m gatebook_hub.cli` is `gatebook`."""

from gatebook_hub.cli import main

if __name__ == "__main__":
    main()
