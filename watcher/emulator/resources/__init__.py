"""The operations of the API, one module per resource; functions bear the contract's operation names."""
