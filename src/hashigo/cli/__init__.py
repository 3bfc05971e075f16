"""The command line: parses arguments, calls the library and prints results. It has no logic of its own."""
