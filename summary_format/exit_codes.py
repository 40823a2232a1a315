"""What exit codes say; 0 is fine. Nothing but ``compare``'s verdict ends with 1."""

EXIT_REGRESSION = 1  # explanations got worse
EXIT_BAD_INPUT = 2  # the same command would end the same way
EXIT_RESUMABLE = 3  # it failed or was stopped, and can be run again as it is
