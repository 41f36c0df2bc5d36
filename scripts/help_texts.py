"""What `--help` says of each command; a paragraph a line, wrapped for the terminal."""

LIMNER = """\
Illustrate text while it is still being written.

A text asks for a picture with a tag such as <!--img-prompt="a lighthouse at dusk"-->. Limner \
finds these tags as the text comes in, has the pictures made, and writes the text once, each \
picture beside its tag.

\b
limner illustrate story.md
some-llm "tell me a story" | limner illustrate - -o story.md
limner pictures story.illustrated.md
limner regenerate story.illustrated.md 2 --prompt "a lighthouse at dawn"
"""
ILLUSTRATE = """\
Illustrate a text, also one that another program is still writing.

\b
limner illustrate story.md
limner illustrate story.md -o out/story.md --rate 60
some-llm "tell me a story" | limner illustrate - -o story.md

A text asks for a picture with <!--img-prompt="…"-->, <img-prompt="…"> or <img_prompt="…">. \
Each picture is begun the moment its tag is complete. The text is written once, when the last \
picture is settled, and but for the pictures it stays byte for byte as it was.

Given again, it keeps the pictures that the output has, and draws what is missing; --mode says \
otherwise. An output that was changed by others is kept as NAME.bak before it is written over, but \
for --force. --html writes a page to look at, which needs nothing beside it.

A chat of SillyTavern (NAME.jsonl) is illustrated where it stands, or with -o in a copy: all \
messages of the assistant, each written once when its pictures are settled. Prompts that have a \
picture are passed over unless --mode says otherwise, so the command may be given again. The chat \
as it was before the first time is kept as NAME.jsonl.bak. Close a chat in SillyTavern first: it \
saves what it has open over what is on the disk. Its page shows pictures from its own folders, not \
from beside the chat: --pictures says which folder they go to, LIMNER_PICTURES_URL how the chat \
refers to it.

Ctrl-C writes what is finished by then; a second Ctrl-C writes nothing. What came through a pipe \
is written also where its session fails, then without pictures; a byte that is not UTF-8 becomes \
U+FFFD. A setting that no option gives is taken from the environment (LIMNER_SLOTS=2), then from \
a TOML file (slots = 2), then from your own ~/.config/limner/config.toml. A limner.toml that lies \
in the working folder may choose a generator that you have configured, and not say what runs.

Exit status: 0 all illustrated, 1 failed, 2 wrong use or input, 3 written but some pictures are \
missing, 130 interrupted.
"""
SIMULATE = """\
Let messages stream through Limner in simulated time, and audit what it did.

\b
limner simulate
limner simulate --scenario rush-hour --seed 7 --events day.jsonl
limner simulate --scenario chaos --seeds 0..999

The actors are the real ones; time, threads and chance are simulated, and drawn from the seed. The \
same seed gives the same event log, byte for byte. Each seed draws its own values from the ranges \
of the scenario.

A scenario is one of quiet, rush-hour, impatient, flaky-backend, dead-backend, chaos, revisions \
and day, or a TOML file: about, all_written, quick, messages, arrivals, texts, people, generation, \
store, lane, calls, revisions, patience, faults. A range is a pair, as in \\[faults] \
host_edits = [0, 0.3]. Without a scenario all values are the usual ones, without faults.

Exit status: 0 all is well, 1 an invariant is violated or something else is wrong, 2 wrong use, \
130 interrupted.
"""
INSPECT = """\
Look into an event log; without an option, sum it up.

\b
limner inspect events.jsonl
limner inspect events.jsonl --message msg-42
limner inspect events.jsonl --check
limner inspect events.jsonl --html timeline.html

A log of several runs after each other, of an interrupted process, or with foreign lines is read \
too; what was passed over is counted.

Exit status: 0 done, 1 a violation or an unknown id, 2 wrong use or no usable log, 130 interrupted.
"""
PICTURES = """\
Tell what is where in a file that is illustrated, from which prompt, with its history.

\b
limner pictures story.md
limner pictures chat.jsonl --json

The file is a text (Markdown, HTML or any other) or a chat of SillyTavern, whose lines are its \
messages. A terminal gets a table, a pipe a line for each thing, its columns parted by tabs.

A picture stands in the text; is there unmarked, as another program has taken Limner's mark off; \
is missing, as another program has stripped it; is lost, as its file is gone; is kept, but in no \
text yet; is pending, as it is being written; or is past, as it was replaced or removed. Its \
number, its id or the beginning of its id is what limner regenerate takes.

Exit status: 0 done, 1 failed, 2 wrong use or input, 3 some lines of a chat are broken, 130 \
interrupted.
"""
REGENERATE = """\
Make other pictures for some that stand in a file.

\b
limner regenerate story.md 2
limner regenerate story.md 3f2a9c04 51d0 --mode append-after-image
limner regenerate chat.jsonl 7 --prompt "a red door, at night"
limner regenerate story.md --failed

A picture is named by its number or its id, as limner pictures tells them; of an id the beginning \
is enough, of 4 digits or more, if no other picture's begins so. A picture that could not be made \
is named by the id of its failure. All new pictures of one text are written together, once. A \
picture that cannot be made leaves the old one where it is.

--prompt draws another prompt in place of the picture's own, and the tag comes to say it; the old \
one stays in the history.

Ctrl-C writes what is finished or being drawn by then; a second Ctrl-C writes nothing more.

Exit status: 0 all is made and written, 1 failed and nothing is written, 2 wrong use or input, 3 \
written but some pictures are missing, 130 interrupted.
"""
RECONCILE = """\
Put back the pictures that another program has stripped from a file.

\b
limner reconcile story.md
limner reconcile chat.jsonl --dry-run

Each goes beside the prompt tag that it belongs to, once, however often this is run. A picture \
whose tag is gone is not put back, and named. One that was replaced or removed by Limner stays \
out. Pictures whose files are gone are told; --redraw makes them again.

Exit status: 0 all stands where it should, 1 failed, 2 wrong use or input, 3 some pictures could \
not be put back, 130 interrupted.
"""
CLEAN = """\
Take pictures, marks and prompt tags out of a file, as for a model that is to read it.

\b
limner clean story.md
limner clean story.md -o -
limner clean chat.jsonl --in-place --keep prompts

The clean text goes to NAME.clean.EXT beside the file. --in-place changes the file itself, and \
keeps it as it was as NAME.bak. The files of the pictures stay. A line that held nothing else goes \
too. Of a chat, the messages of the assistant are cleaned.

Exit status: 0 done, 1 failed, 2 wrong use or input, 3 some lines of a chat are broken, 130 \
interrupted.
"""
EVENTS = """\
Print the catalogue of events: what each line of an event log means, and its fields.

\b
limner events
limner events slot_granted slot_released
limner events --json

A log is written by --events FILE, one JSON object a line. New versions add events and fields; \
the names that there are stay.

Exit status: 0 done, 1 nobody reads the output, 2 wrong use or an unknown name, 130 interrupted.
"""
SETTINGS = """\
Print all settings, each with its type, unit, bounds and default.

\b
limner settings
limner settings slots max_wait
limner settings --json

A setting is taken from the environment (LIMNER_SLOTS=2), then from a TOML file (slots = 2). Those \
of a lane stand in that file under \\[lanes.NAME] or \\[lane_groups.NAME].

Exit status: 0 done, 1 nobody reads the output, 2 wrong use or an unknown name, 130 interrupted.
"""
