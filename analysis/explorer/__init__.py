"""What the notebook to explore schedules and networks is made of; its door is `analysis.explore`."""
