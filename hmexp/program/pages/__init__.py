"""The pages of a process in work: which belong where, which are asked for, moved, split, and put back."""
