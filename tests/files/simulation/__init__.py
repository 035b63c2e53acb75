"""Deterministic schedules: servers, command lines and editors interleave in one process, driven by a seed.

    python tests/files/simulation/run.py --schedules 2000            thousands; `make simulate`
    python tests/files/simulation/run.py --replay 4711               one again, with who did what
    python tests/files/simulation/run.py --reduce 4711 --kind I5     what of its plan a violation needs

The same idea as FoundationDB's simulation and TigerBeetle's VOPR. Everything that runs is real: the language server
with its session, jobs and features, the command line, the commit, and files on a memory file system. What is simulated
is what decides the order of things:

* `scheduler.py`: every process consists of actors (greenlets), and each call of `os_layer` is a point where another
  actor may go on. Time is virtual: it moves on by the calls, and jumps when everybody waits. Which actor goes on is
  drawn from the seed, in one of two ways: at random at each point, or by priorities that change at few points only
  (as in probabilistic concurrency testing: most faults of order need few switches).
* `loop.py`: an event loop for each process, and its threads and locks, which never block and start nothing real.
* `world.py`: processes with their descriptors and locks, kills, the model, what was paid for, what was said to whom.
* `editor.py`: an editor with a buffer that outlives its server, and the messages between the two.
* `scenario.py`: who does what, drawn from the same seed; then everything settles, is saved and recovered.
* `checks.py`: what must hold then, by the numbers of docs/commit.md.
* `kept.py`: plans and seeds that failed once, by what went wrong.

A process that is killed does nothing more: its calls to the system raise, and its descriptors (and so its locks) are
closed one by one in random order while others go on. It is killed at the moments that matter (the text is safe, the
component is there, the names are exchanged ...), or a few calls later. An editor may save at the worst of moments,
between the last look at the map and its exchange.

It reaches the code by seams that are meant to stay: the command line's `main`, the server as `app.build()` puts it
together with `stdio.open_stdio` for its streams, `generation.write_component` for the model, and for clock, threads and
random bytes the modules `time`, `threading`, `queue` and `os`. A module of Goalmap's that waits in another way stops
the whole simulation: give it a stand-in in `world.installed`.

What it cannot see: power cuts and failing disks (tests/files/faults/), and two threads between two calls.
"""
