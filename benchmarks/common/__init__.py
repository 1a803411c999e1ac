"""What the benchmarks share: measuring a command, the classes that are graded, the graders."""
