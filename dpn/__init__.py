"""Pose networks around the Dilation Pyramid Network: specs, builders, data, training, metrics."""
