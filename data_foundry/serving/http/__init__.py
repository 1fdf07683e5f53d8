"""The gateway over HTTP: keys, limits, uploads, the endpoints, and the server that they run in."""
