"""The same search by the interfaces of other libraries."""
