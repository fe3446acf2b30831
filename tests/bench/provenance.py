"""How much a record says of where it comes from."""

from bench.records.record import Record


def provenance_fields(record: Record) -> int:
    """How many single facts a record holds besides what it measured: its own, versions, protocol and environment."""
    own = [name for name, value in record if name != "value" and isinstance(value, str | int | float)]
    return len(own) + len(record.versions) + len(record.protocol) + len(record.environment)
