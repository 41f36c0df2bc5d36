"""The smallest honest Flask host: text while it is written, each picture when it is there."""

import contextlib, json, queue, signal, threading, uuid
import flask, waitress
from limner import LimnerError, Settings, Studio

MODEL = ["The lamp was lit. ", '<!--img-prompt="a lighthouse, ', 'storm"-->', " He climbed."]
studio = Studio.open(Settings(store="sqlite:///chat.db", pictures_url="/pictures/"))
app = flask.Flask(__name__, static_folder=studio.settings.pictures.absolute())  # at /pictures/


@app.get("/reply")
def reply() -> flask.Response:
    stream, events = studio.stream(uuid.uuid4().hex), queue.Queue[str | None]()

    def feed() -> None:
        with contextlib.suppress(LimnerError), stream:  # interrupts it if the model fails
            for chunk in MODEL:
                events.put(f"data: {json.dumps({'text': chunk})}\n\n")
                stream.feed(chunk)  # raises once the reader has gone

    def show() -> None:
        try:
            for outcome in stream.pictures():
                events.put(f"data: {outcome.model_dump_json(exclude={'reason'})}\n\n")
            events.put(f"data: {json.dumps({'done': stream.finish().get().text})}\n\n")
        finally:
            events.put(None)

    threading.Thread(target=feed, daemon=True).start()
    threading.Thread(target=show, daemon=True).start()
    response = flask.Response(iter(events.get, None), mimetype="text/event-stream")
    response.call_on_close(stream.interrupt)  # too late is no error
    return response


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with studio:
        waitress.serve(app, host="127.0.0.1", port=8000, threads=64)
