"""``python -m explainrun``."""

from explainrun.runner.command_line import main

if __name__ == "__main__":
    main()
