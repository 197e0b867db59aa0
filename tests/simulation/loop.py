"""One thread and no clock: an event loop in which time passes only when all wait.

Whatever the programs hand to other threads runs here, in the loop's own, after a wait
drawn from the seed: so tasks meet in every order, and a seed replays.
"""

import asyncio
import random
from contextvars import ContextVar, copy_context

HERE = ContextVar("HERE", default=None)
"""The machine whose code is running."""

DICE = ContextVar("DICE", default=None)
"""What decides, for the code that is running: a step's own dice, or those of its machine."""


class Dice(random.Random):
    """Chance with a name.

    Each step, machine and line has its own, so that of a story from which a step is left out
    the other steps are what they were.
    """

    def __init__(self, *names):
        super().__init__("/".join(map(str, names)))
        self.name = str(names[-1])

    def __reduce__(self):
        raise TypeError("dice are not copied")


class Stuck(Exception):
    """Everybody waits, and nothing will ever happen."""


class Off(asyncio.CancelledError):
    """The power of this machine is gone: none of its code goes on."""


class Loop(asyncio.BaseEventLoop):
    """Runs everything of one world."""

    def __init__(self, rng):
        super().__init__()
        self._selector = self
        self._now = 0.0
        self._rng = rng
        self.set_task_factory(_owned)

    @property
    def rng(self):
        """What decides for the code that is running."""
        return DICE.get() or self._rng

    def time(self):
        return self._now

    def select(self, timeout):
        if timeout is None:
            raise Stuck
        self._now += timeout
        return ()

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        pass

    def soon(self, work, most_s=0.004):
        """Run something in a moment: usually the next, sometimes a later one."""
        rng = self.rng
        if rng.random() < 0.7:
            return self.call_soon(work)
        return self.call_later(rng.random() * most_s, work)

    def run_in_executor(self, executor, func, *args):
        del executor
        future, machine = self.create_future(), HERE.get()

        def work():
            if future.done() or (machine is not None and machine.off):
                return
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - whoever waits is told
                future.set_exception(error)
            else:
                future.set_result(result)

        self.soon(work)
        return future


def _owned(loop, coroutine, **more):
    task = asyncio.Task(coroutine, loop=loop, **more)
    machine = HERE.get()
    if machine is not None:
        machine.tasks[task] = None
        task.add_done_callback(lambda done: machine.tasks.pop(done, None))
    return task


class Machine:
    """A computer: its tasks, its power."""

    old = False
    """Runs a program of three versions ago."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.dice = Dice(world.seed if world else 0, name)
        self.tasks = {}
        self.off = True
        self.fuse = None
        """Steps to go until the power fails: each reading or writing of the disk is one."""

    def spawn(self, coroutine):
        """Run something on this machine."""
        context = copy_context()
        context.run(HERE.set, self)
        return context.run(asyncio.get_running_loop().create_task, coroutine)

    def wake(self):
        """Be what runs in this task and in what it starts."""
        self.off = False
        HERE.set(self)
        DICE.set(self.dice)

    def step(self):
        """Be at an await: the power may fail here."""
        if self.off:
            raise Off
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.cut_power()
                raise Off

    def cut_power(self):
        """Stop at once; what was on disk by now is what is left."""
        self.fuse, self.off = None, True
        current = asyncio.current_task()
        for task in list(self.tasks):
            if task is not current:
                task.cancel()
        self.tasks.clear()
