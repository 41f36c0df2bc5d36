"""A log that an earlier version has written, with several lanes and much trouble, is still read.

`earlier.jsonl` is of `limner simulate --scenario chaos --messages 6 --seed 2`, by the version that
had spans and audit in `scripts/inspect`.
"""

from pathlib import Path

import pytest

from limner.messages.events.catalogue import mismatches
from limner.messages.events.invariants import Audit
from limner.messages.events.spans import Spans
from limner.scripts.inspect.command import inspect
from limner.scripts.inspect.reading import LogReader

LOG = Path(__file__).parent / "earlier.jsonl"


@pytest.fixture(scope="module")
def events():
    return list(LogReader(LOG))


def test_it_passes_the_audit(events):
    audit = Audit()
    for event in events:
        audit.feed(event)
    verdict = audit.finish()
    assert verdict.passed, verdict.violations
    assert (verdict.events, verdict.runs, verdict.lost) == (208, 1, 0)


def test_each_line_is_as_the_catalogue_has_it(events):
    assert not [found for event in events for found in mismatches(event)]


def test_every_event_is_used_for_its_spans(events):
    spans = Spans(events)
    assert len(list(spans)) > 100
    assert spans.passed == 0


def test_it_is_shown_in_every_way(tmp_path, capsys):
    assert inspect(LOG) == 0
    assert inspect(LOG, check=True) == 0
    assert inspect(LOG, message="msg-1") == 0
    assert inspect(LOG, trace=tmp_path / "trace") == 0
    assert inspect(LOG, html=tmp_path / "page") == 0
    out = capsys.readouterr().out
    assert "208 events of 1 run" in out
    assert "passed: I1 to I8 and I13 to I22 hold for 208 events of 1 run" in out
    for written in ("trace", "page"):
        assert "msg-1" in (tmp_path / written).read_text("utf-8")
