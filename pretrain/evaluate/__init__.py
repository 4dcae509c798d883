"""How right a checkpoint answers the problems of benchmarks."""
