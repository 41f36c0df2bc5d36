"""What a host promises whose store derives from `DocumentStore`; `conformance` runs it.

These checks call `fetch` and `replace` as they are, so that somebody comes in between the two in
each run, and not by chance. Of other stores they ask nothing.
"""

from limner.actors.stores.conformance.fixtures import (
    ROUNDS,
    THREADS,
    Trial,
    alike,
    equal,
    found,
    promise,
)
from limner.actors.stores.documents import Document, DocumentStore
from limner.messages.registry import Registry

_ONE_IS_THERE = "that expects no document, where there is one"


class _Place:
    """Where a host has the document of one message."""

    def __init__(self, trial: Trial, store: DocumentStore, message_id: str) -> None:
        self.trial, self.store, self.message_id = trial, store, message_id
        prompts = (found(message_id, text) for text in ("a boat", "the sea", "a boat at sea"))
        self.known = [Registry().add(prompt).model_dump(mode="json") for prompt in prompts]

    @property
    def held(self) -> Document:
        """The document that is there, as one must be."""
        held = self.store.fetch(self.message_id)
        if held is None or held.revision is None:
            raise AssertionError(f"fetch(): expected one with a revision, found {str(held)[:200]}")
        return held

    def put(self, new: Document) -> Document:
        """Replace the document, which must succeed."""
        done = self.store.replace(self.message_id, new)
        equal(bool(done), True, "replace() of the document that was there")
        held = self.held
        equal(held.text, new.text, "text of fetch() after a replace()")
        equal(held.known, new.known, "known of fetch() after a replace()")
        return held

    def refused(self, late: Document, why: str) -> None:
        """Replace a document that is not there, which must be refused."""
        before = self.store.fetch(self.message_id)
        done = self.store.replace(self.message_id, late)
        equal(bool(done), False, f"replace() {why}")
        equal(self.store.fetch(self.message_id), before, f"fetch() after a replace() {why}")

    def race(self, turn: int) -> None:
        """Replace the document, if there is one, in several threads at once: one must succeed."""
        held = self.store.fetch(self.message_id)
        revision = None if held is None else held.revision

        def replaced(one: int) -> bool:
            new = Document(f"{one} in {turn}", self.known[one % 3], revision)
            return bool(self.store.replace(self.message_id, new))

        done = self.trial.at_once(replaced)
        equal(sum(done), 1, f"calls of replace() of {THREADS} at once that gave true")
        equal(self.held.text, f"{done.index(True)} in {turn}", "text of fetch() after a race")


@promise()
def a_document_that_was_changed_meanwhile_is_not_replaced(trial: Trial) -> None:
    """A document is replaced only where both its text and what is known are as they were read."""
    if not isinstance(trial.store, DocumentStore):
        return
    place = _Place(trial, trial.store, trial.message_id)
    one, two, three = place.known
    trial.write("once")
    for text in ("twice", *alike("once")):
        first = place.put(Document("once", one, place.held.revision))
        place.put(first._replace(text=text))
        place.refused(
            Document("mine", three, first.revision), f"of 'once' where {text!r} is by now"
        )
    first = place.held
    place.put(first._replace(known=two))
    place.refused(Document("mine", three, first.revision), "where more is known by now")
    place.refused(Document("mine", three, None), _ONE_IS_THERE)


@promise("creates")
def a_document_is_made_only_where_there_is_none(trial: Trial) -> None:
    """A document is made only where there is none, and without a text if it has none."""
    if not isinstance(trial.store, DocumentStore):
        return
    place, other = (_Place(trial, trial.store, name) for name in (trial.another(), trial.other_id))
    one, two, three = place.known
    elsewhere = other.put(Document("of another", None, None))
    place.refused(Document("mine", one, elsewhere.revision), "where there is no document")
    first = place.put(Document(None, one, None))
    place.refused(Document("mine", two, None), _ONE_IS_THERE)
    place.put(Document("", three, first.revision))


@promise()
def of_documents_that_race_one_is_put_in_place(trial: Trial) -> None:
    """Of documents that are put at once in place of the same one, one is, and the others not."""
    if isinstance(trial.store, DocumentStore):
        trial.write("begun")
        for turn in range(ROUNDS):
            _Place(trial, trial.store, trial.message_id).race(turn)


@promise("creates")
def of_documents_that_are_made_at_once_one_is_there(trial: Trial) -> None:
    """Of documents that are made at once for one message one is, and the others are not."""
    if isinstance(trial.store, DocumentStore):
        for turn in range(ROUNDS):
            _Place(trial, trial.store, trial.another()).race(turn)
