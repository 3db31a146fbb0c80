"""YAML and SQL of a project → model. Every error says file, line and what would be right."""

from crashcart.loading.experiments import ExperimentFile, read_experiment
from crashcart.loading.project import Project, is_project, open_project

__all__ = ["ExperimentFile", "Project", "is_project", "open_project", "read_experiment"]
