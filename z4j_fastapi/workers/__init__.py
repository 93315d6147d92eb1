"""Agents for task workers: `workers.arq` and `workers.taskiq`, each of use only where its framework is."""
