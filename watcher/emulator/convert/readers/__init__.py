"""Readers: one source format each, from the job's files to a model in memory."""
