"""``python -m explainrun``."""

from explainrun.runner.cli.main import main

if __name__ == "__main__":
    main()
