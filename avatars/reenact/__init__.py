"""Driving an actor (an avatar, a portrait) with somebody else's performance."""
