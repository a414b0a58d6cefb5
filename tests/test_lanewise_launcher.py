"""The function by which XLA launches a kernel on a card, called here with a frame, a stream and a driver of our own."""

import ctypes

import pytest

from jaxes.lanewise.launcher import CAPTURABLE, launcher
from jaxes.lanewise.machine import compiled

WORD, POINTER = ctypes.c_size_t, ctypes.c_void_p
HEAD = [("size", WORD), ("extension", POINTER)]


def structure(*fields):
    return type("Structure", (ctypes.Structure,), {"_fields_": [*HEAD, *fields]})


List = structure(("count", ctypes.c_int64), ("types", POINTER), ("items", POINTER))
Buffer = structure(("dtype", ctypes.c_int), ("data", POINTER), ("rank", ctypes.c_int64), ("dimensions", POINTER))
Frame = structure(
    ("api", POINTER), ("context", POINTER), ("stage", ctypes.c_int), ("inputs", List), ("outputs", List),
    ("attributes", List), ("future", POINTER),
)  # fmt: skip
Asking = structure(("context", POINTER), ("stream", POINTER))
Complaint = structure(("message", ctypes.c_char_p), ("code", ctypes.c_int))
Version = structure(("major", ctypes.c_int), ("minor", ctypes.c_int))
About = type(
    "About", (ctypes.Structure,), {"_fields_": [("size", WORD), ("version", Version), ("traits", ctypes.c_uint)]}
)
Extension = structure(("next", POINTER), ("about", POINTER))
WORDS = 32  # of XLA's interface

CONTEXT, STREAM, KERNEL, COMPLAINT = 11, 22, 33, 44


class Machine:
    """What a handler finds: XLA's interface, and CUDA's driver."""

    def __init__(self, code=0, refusal=None):
        self.launches, self.messages = [], []

        @ctypes.CFUNCTYPE(POINTER, POINTER)
        def stream_get(asking):
            asking = ctypes.cast(asking, ctypes.POINTER(Asking)).contents
            assert (asking.size, asking.context) == (ctypes.sizeof(Asking), CONTEXT)
            asking.stream = STREAM
            return refusal

        @ctypes.CFUNCTYPE(POINTER, POINTER)
        def error_create(complaint):
            self.messages.append(ctypes.cast(complaint, ctypes.POINTER(Complaint)).contents.message.decode())
            return COMPLAINT

        number = ctypes.c_uint

        @ctypes.CFUNCTYPE(number, POINTER, *[number] * 7, POINTER, ctypes.POINTER(POINTER), POINTER)
        def launch(kernel, x, y, z, threads, *sizes):
            *sizes, stream, parameters, extra = sizes
            lanes = ctypes.cast(parameters[0], ctypes.POINTER(ctypes.c_int)).contents.value
            data = [ctypes.cast(parameters[k], ctypes.POINTER(POINTER)).contents.value for k in (1, 2, 3)]
            self.launches.append((kernel, (x, y, z), (threads, *sizes), stream, lanes, data, extra))
            return code

        interface = (POINTER * WORDS)()
        interface[48 // 8] = ctypes.cast(error_create, POINTER)
        interface[80 // 8] = ctypes.cast(stream_get, POINTER)
        self.kept = [stream_get, error_create, launch, interface]
        address = ctypes.cast(launch, POINTER).value
        source = launcher("launched", 2, 1, kernel=KERNEL, launch=address, block=32)
        self.handler = ctypes.CFUNCTYPE(POINTER, POINTER)(compiled(source, "launched"))

    def call(self, lanes=70, stage=3, extension=None):
        dimensions = (ctypes.c_int64 * 2)(lanes, 5)
        buffers = [Buffer(0, None, 11, 1000 + k, 2, ctypes.cast(dimensions, POINTER)) for k in range(3)]
        pointers = (POINTER * 3)(*map(ctypes.addressof, buffers))
        listed = lambda start, count: List(0, None, count, None, ctypes.addressof(pointers) + 8 * start)
        api = ctypes.cast(self.kept[3], POINTER)
        frame = Frame(0, extension, api, CONTEXT, stage, listed(0, 2), listed(2, 1), listed(0, 0), None)
        return self.handler(ctypes.addressof(frame))


@pytest.mark.parametrize(("lanes", "blocks"), [(1, 1), (32, 1), (70, 3), (8192, 256)])
def test_it_launches_a_thread_for_every_lane_on_the_stream_of_xla(lanes, blocks):
    machine = Machine()
    assert machine.call(lanes) is None
    assert machine.launches == [(KERNEL, (blocks, 1, 1), (32, 1, 1, 0), STREAM, lanes, [1000, 1001, 1002], None)]


def test_nothing_is_launched_without_lanes_or_before_it_is_time():
    machine = Machine()
    assert machine.call(lanes=0) is None
    assert machine.call(stage=2) is None
    assert machine.launches == []


def test_a_launch_that_fails_and_a_stream_that_is_refused_are_told():
    machine = Machine(code=700)
    assert machine.call() == COMPLAINT
    assert machine.messages == ["jaxes.lanewise: the kernel launched could not be launched"]
    machine = Machine(refusal=COMPLAINT)
    assert machine.call() == COMPLAINT
    assert machine.launches == []


def test_it_says_that_it_may_be_captured():
    machine, about = Machine(), About()
    assert machine.call(extension=ctypes.addressof(Extension(0, 1, None, ctypes.addressof(about)))) is None
    assert about.traits == CAPTURABLE
    assert machine.launches == []
