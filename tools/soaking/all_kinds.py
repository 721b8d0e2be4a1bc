"""All kinds of trials, in the order of the table."""

from __future__ import annotations

from soaking import damage, inputs, kills, page

KINDS = (*kills.KINDS, *damage.KINDS, *inputs.KINDS, *page.KINDS)
