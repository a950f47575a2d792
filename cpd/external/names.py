"""Names between processes: files in a run's folder that programs and cpd both know, and those of cpd's own."""

LOG, RESULT, CURVES = "log.txt", "result.json", "curves.jsonl"
"""What a program prints, what it came to, and what it recorded on the way."""

STATE = ".run"
"""The folder of what cpd itself keeps of a run."""

TIMED_OUT = 124
"""The exit code of a worker whose function does not heed its time."""
