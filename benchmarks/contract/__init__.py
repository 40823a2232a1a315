"""What every metric keeps to, as rules that a class of any package can be checked by."""
