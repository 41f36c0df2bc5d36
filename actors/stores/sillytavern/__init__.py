"""Chat files of SillyTavern as stores."""
