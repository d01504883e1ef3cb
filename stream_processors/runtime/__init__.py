"""What both agents stand on: Faust, the reader that feeds them, what sets poison records aside."""
