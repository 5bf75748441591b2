"""The command `card` with the real sizes of training, and few updates and streams of the score."""

import tiny_memory

SHORT = {"UPDATES": 40, "UPDATES_AT_ONCE": 20, "STREAMS": 4, "TIMED_STEPS": 4, "TIMES": 1}

if __name__ in ("__main__", "__mp_main__"):  # as tiny_memory, workers too
    tiny_memory.make_tiny(constants=SHORT)
if __name__ == "__main__":
    tiny_memory.command.main()
