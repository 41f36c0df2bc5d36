"""The smallest honest FastAPI host: text while it is written, each picture when it is there."""

import asyncio, collections.abc, fastapi.responses, fastapi.staticfiles, json, signal, uuid, uvicorn
from limner import Settings, Stream, Studio

MODEL = ["The lamp was lit. ", '<!--img-prompt="a lighthouse, ', 'storm"-->', " He climbed."]
studio = Studio.open(Settings(store="sqlite:///chat.db", pictures_url="/pictures/"))
studio.settings.pictures.mkdir(exist_ok=True)
app = fastapi.FastAPI()
app.mount("/pictures", fastapi.staticfiles.StaticFiles(directory=studio.settings.pictures))


@app.get("/reply")
async def reply(request: fastapi.Request) -> fastapi.responses.StreamingResponse:
    new, say = asyncio.Queue[object](), asyncio.get_running_loop().call_soon_threadsafe

    async def feed(msg: Stream) -> str:
        for chunk in MODEL:
            new.put_nowait(json.dumps({"text": chunk}))
            msg.feed(chunk)
            await request.is_disconnected() and msg.interrupt()  # the next feed raises then
        return (await msg.finish()).text

    async def said() -> collections.abc.AsyncIterator[str]:
        with studio.stream(uuid.uuid4().hex, on_picture=lambda _: say(new.put_nowait, None)) as msg:
            pictures = (told.model_dump_json(exclude={"reason"}) for told in msg.pictures())
            (feeding := asyncio.create_task(feed(msg))).add_done_callback(new.put_nowait)
            while (event := await new.get()) is not feeding:  # raises if the reader goes
                yield f"data: {event or next(pictures)}\n\n"
            done = json.dumps({"done": feeding.result()})  # raises if the model has failed
            for event in [*pictures, done]:
                yield f"data: {event}\n\n"

    return fastapi.responses.StreamingResponse(said(), media_type="text/event-stream")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with studio:
        uvicorn.run(app, port=8000, timeout_graceful_shutdown=5)
