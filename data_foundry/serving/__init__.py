"""Serving: the gateway in front of callers, the shadow behind it, and the deployment of what training made."""
