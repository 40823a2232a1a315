"""What the command's exit codes say; 0 is fine, and 1 nothing but ``compare``'s verdict that explanations got worse."""

EXIT_BAD_INPUT = 2  # the same command would end the same way
EXIT_RESUMABLE = 3  # it failed or was stopped, and can be run again as it is
