"""Tables and sentences about time and memory, from the records of each machine."""
