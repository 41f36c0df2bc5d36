"""An actor that the tests of the simulated system tell things."""

from limner.actors import PooledActor


class Note(PooledActor):
    """Writes down what it hears and when; runs what can be called, and gives what that gave."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def on_receive(self, message):
        if callable(message):
            return message(self)
        self.heard.append((message, self.system.clock.now))
        return None

    def what(self):
        return [message for message, _ in self.heard]


def actor_of(ref):
    return ref.actor_inbox.actor
