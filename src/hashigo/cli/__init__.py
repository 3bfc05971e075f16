"""The command line: words to calls, results to words. It holds no logic of its own."""
