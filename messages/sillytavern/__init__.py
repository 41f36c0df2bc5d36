"""Chats as SillyTavern writes them."""
