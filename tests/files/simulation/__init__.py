"""Deterministic schedules: servers, command lines and editors interleave in one process, driven by a seed.

    python tests/files/simulation/run.py --schedules 2000          what `make simulate` runs
    python tests/files/simulation/run.py --replay 4711             one schedule again, with who did what

The same idea as FoundationDB's simulation and TigerBeetle's VOPR. Everything that runs is real: the language server with
its session, jobs and features, the command line, the commit, and files on a memory file system. What is simulated is
what decides the order of things:

* `scheduler.py`: every process consists of actors (greenlets) and each call of `os_layer` is a point where another actor
  may go on. Time is virtual: it stands still while somebody can run, and jumps when everybody waits. Which actor goes on
  is drawn from the seed, in one of two ways: at random at each point, or by priorities that change at a few points only
  (probabilistic concurrency testing: most faults of order need few switches).
* `loop.py`: an event loop and a pool of threads for each process, which never block and start nothing real.
* `world.py`: processes with their descriptors and locks, kills, the model, what was paid for, what was said to whom.
* `editor.py`: an editor with a buffer that outlives its server, and the messages between the two.
* `scenario.py`: who does what, drawn from the same seed; then everything settles, is saved and recovered.
* `checks.py`: what must hold then, by the numbers of docs/commit.md.
* `kept.py`: seeds that once failed, by what went wrong.

A process that is killed does nothing more: its calls to the system raise, its descriptors (and so its locks) are closed
one by one in random order while others go on. It is killed at the points that matter (the text is safe, the component is
there, the names are exchanged …), and a few calls later.
"""
