"""Which runs sweeps share, and which would go with them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cpd.store.store import Store

_ONLY_BY = """
    WITH meant AS (SELECT number FROM sweeps WHERE id IN (SELECT value FROM json_each(?)))
    SELECT DISTINCT runs.id
    FROM sweep_runs JOIN runs ON runs.id = sweep_runs.run
    WHERE sweep_runs.sweep IN (SELECT number FROM meant)
    AND NOT EXISTS (
        SELECT 1 FROM sweep_runs AS other
        WHERE other.run = sweep_runs.run AND other.sweep NOT IN (SELECT number FROM meant)
    )
"""


def shown_only_by(store: Store, sweeps: Sequence[str]) -> list[str]:
    """The stored runs that no other sweeps show than these.

    Args:
        store: An open one.
        sweeps: Whole ids.
    """
    return [run for (run,) in store.file.rows(_ONLY_BY, [json.dumps(list(sweeps))])]
