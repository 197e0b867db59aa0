"""The HTTP contract both programs honour: what a refusal, a token and the description look like.

Pure: bytes and records in, bytes and records out; no web framework in sight. Each
program lists its `Route`s once, serves the document `openapi` builds from them, and
answers every refusal with a `problem`. Imports `sync.errors` and itself only.
"""
