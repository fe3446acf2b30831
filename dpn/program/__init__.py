"""What all commands share: options, messages, progress, signals, and files that are whole or not there."""
