"""Chunks of lanes shared out among the threads of XLA's pool.

The thread that XLA called takes chunks from the first one up, others take them from the last one down, so that each
meets much the same memory from call to call. Nobody waits for a thread that has not begun, but a thread that has begun
may lose its processor to another program, and the others wait then. So both ways are timed: a kernel takes the one that
has been faster, and now and then the other one. What a lane computes does not depend on who does it.
"""

import struct
import time

from jaxes.lanewise.frame import function, load, store

# Operations on vectors that are worth a thread: some 15 microseconds. To wake one takes about 10.
ENOUGH = 50_000
# Fields of a job, offsets in bytes: chunks taken so far, by the first thread, by others, and done; how many threads
# know of the job, of which the last one frees it; how many chunks there are. Others follow from `FIELDS` on.
TAKEN, UP, DOWN, DONE, HOLDERS, CHUNKS, FIELDS = 0, 8, 16, 24, 32, 40, 48
# Calls that try both ways by turns; later every such call tries the one that is not taken.
FIRST_CALLS, EVERY = 8, 32
# Help is taken where it is shorter than so much of the time alone. A time counts for its share in the mean. The first
# thread can lose its processor either way, so alone long times hardly count: no more than twice the mean, and less than
# short ones. With help they count in full, for then there is one more thread to wait for.
WORTH, SHARE, SHORT_SHARE, MOST = 0.9, 1 / 32, 1 / 4, 2.0
TIMED = hasattr(time, "CLOCK_MONOTONIC")  # not on Windows, where one thread does everything


def declared() -> set[str]:
    """What the functions call."""
    return {
        "declare i64 @llvm.umin.i64(i64, i64)",
        "declare double @llvm.minnum.f64(double, double)",
        "declare i32 @sched_yield()",
        "declare i32 @clock_gettime(i32, ptr)",
    }


def shared_out() -> str:
    """`@shared_out(job, chunks, operations, interface, context)`: `@work` on a job, which is freed, by some threads."""
    lines = [
        "define internal void @shared_out("
        "ptr %job, i64 %chunks, i64 %operations, ptr %interface, ptr %context) noinline {",
        "entry:",
        *(line for field in (TAKEN, UP, DOWN, DONE) for line in store("i64", "0", "%job", field)),
        *store("i64", "1", "%job", HOLDERS),
        *store("i64", "%chunks", "%job", CHUNKS),
        *(_helped() if TIMED else ["  br label %alone"]),
        "alone:",
        "  call void @done(ptr %job, i64 %chunks)",
        "  ret void",
        "}",
        *(_learning() if TIMED else []),
        "define internal void @done(ptr %job, i64 %chunks) noinline {",
        "  call void @work(ptr %job, i64 %chunks, i1 false)",
        f"  %finished = getelementptr i8, ptr %job, i64 {DONE}",
        "  br label %wait",
        "wait:",
        "  %done = load atomic i64, ptr %finished acquire, align 8",
        "  %all = icmp eq i64 %done, %chunks",
        "  br i1 %all, label %end, label %again",
        "again:",
        *(["  %yielded = call i32 @sched_yield()"] if TIMED else []),
        "  br label %wait",
        "end:",
        "  call void @released(ptr %job)",
        "  ret void",
        "}",
        "define internal void @dropped(ptr %error, ptr %interface) noinline {",
        *_call("Error_Destroy", "drop", "%error"),
        "  call void %drop.function(ptr %drop)",
        "  ret void",
        "}",
        "define internal void @task(ptr %job) noinline {",
        *load("chunks", "i64", "%job", CHUNKS),
        "  call void @work(ptr %job, i64 %chunks, i1 true)",
        "  call void @released(ptr %job)",
        "  ret void",
        "}",
        "define internal void @released(ptr %job) noinline {",
        f"  %holders = getelementptr i8, ptr %job, i64 {HOLDERS}",
        "  %before = atomicrmw sub ptr %holders, i64 1 acq_rel",
        "  %last = icmp eq i64 %before, 1",
        "  br i1 %last, label %free, label %end",
        "free:",
        "  call void @free(ptr %job)",
        "  br label %end",
        "end:",
        "  ret void",
        "}",
        "define internal i64 @taken(ptr %job, i64 %chunks, i1 %backwards) noinline {",
        f"  %all = getelementptr i8, ptr %job, i64 {TAKEN}",
        "  %number = atomicrmw add ptr %all, i64 1 monotonic",
        "  %some = icmp ult i64 %number, %chunks",
        "  br i1 %some, label %one, label %none",
        "none:",
        "  ret i64 %chunks",
        "one:",
        f"  %at = select i1 %backwards, i64 {DOWN}, i64 {UP}",
        "  %counter = getelementptr i8, ptr %job, i64 %at",
        "  %n = atomicrmw add ptr %counter, i64 1 monotonic",
        "  %last = sub i64 %chunks, 1",
        "  %down = sub i64 %last, %n",
        "  %chunk = select i1 %backwards, i64 %down, i64 %n",
        "  ret i64 %chunk",
        "}",
        "define internal void @finished(ptr %job) noinline {",
        f"  %done = getelementptr i8, ptr %job, i64 {DONE}",
        "  %before = atomicrmw add ptr %done, i64 1 release",
        "  ret void",
        "}",
    ]
    return "\n".join(lines)


def _helped() -> list[str]:
    """Ask other threads to help, if the job is worth it."""
    return [
        "  %all = mul i64 %chunks, %operations",
        f"  %worth = udiv i64 %all, {ENOUGH}",
        "  %useful = call i64 @llvm.umin.i64(i64 %worth, i64 %chunks)",
        "  %several = icmp ugt i64 %useful, 1",
        "  br i1 %several, label %ask, label %alone",
        "ask:",
        "  %pool = alloca i64",
        "  store i64 1, ptr %pool",
        *_asked("ThreadPool_NumThreads", "threads", "%pool"),
        "  br i1 %threads.refused, label %unknown, label %enlist",
        "unknown:",
        "  call void @dropped(ptr %threads.error, ptr %interface)",
        "  br label %alone",
        "enlist:",
        "  %there = load i64, ptr %pool",
        "  %wanted = call i64 @llvm.umin.i64(i64 %useful, i64 %there)",
        "  %some = icmp sgt i64 %wanted, 1",
        "  br i1 %some, label %choose, label %alone",
        "choose:",
        "  %helped = call i1 @chosen()",
        "  %start = call i64 @now()",
        "  br i1 %helped, label %helpers, label %begin",
        "helpers:",
        "  %helper = phi i64 [ 1, %choose ], [ %helper.next, %scheduled ]",
        f"  %held = getelementptr i8, ptr %job, i64 {HOLDERS}",
        "  %before = atomicrmw add ptr %held, i64 1 monotonic",
        *_asked("ThreadPool_Schedule", "schedule", "@task", "%job"),
        "  br i1 %schedule.refused, label %unhelped, label %scheduled",
        "unhelped:",
        "  %after = atomicrmw sub ptr %held, i64 1 monotonic",
        "  call void @dropped(ptr %schedule.error, ptr %interface)",
        "  br label %begin",
        "scheduled:",
        "  %helper.next = add i64 %helper, 1",
        "  %more = icmp ult i64 %helper.next, %wanted",
        "  br i1 %more, label %helpers, label %begin",
        "begin:",
        "  call void @done(ptr %job, i64 %chunks)",
        "  %end = call i64 @now()",
        "  %taken = sub i64 %end, %start",
        "  call void @learned(i1 %helped, i64 %taken, i64 %chunks)",
        "  ret void",
    ]


def _learning() -> list[str]:
    """`@chosen`, `@learned` and `@now`: whether to have help, and what it took. Threads may overwrite each other's."""
    return [
        "@calls = internal global i64 0",
        "@means = internal global [2 x double] zeroinitializer",  # nanoseconds a chunk: alone, and with help
        "define internal i1 @chosen() noinline {",
        "  %call = load i64, ptr @calls",
        "  %next = add i64 %call, 1",
        "  store i64 %next, ptr @calls",
        "  %alone = load double, ptr @means",
        "  %place = getelementptr double, ptr @means, i64 1",
        "  %helped = load double, ptr %place",
        f"  %limit = fmul double %alone, {_double(WORTH)}",
        "  %better = fcmp olt double %helped, %limit",
        f"  %turn = urem i64 %call, {EVERY}",
        "  %other = icmp eq i64 %turn, 0",
        "  %later = xor i1 %better, %other",
        "  %odd = trunc i64 %call to i1",
        f"  %first = icmp ult i64 %call, {FIRST_CALLS}",
        "  %choice = select i1 %first, i1 %odd, i1 %later",
        "  ret i1 %choice",
        "}",
        "define internal void @learned(i1 %helped, i64 %taken, i64 %chunks) noinline {",
        "  %all = uitofp i64 %taken to double",
        "  %parts = uitofp i64 %chunks to double",
        "  %each = fdiv double %all, %parts",
        "  %at = zext i1 %helped to i64",
        "  %place = getelementptr double, ptr @means, i64 %at",
        "  %mean = load double, ptr %place",
        f"  %most = fmul double %mean, {_double(MOST)}",
        "  %less = call double @llvm.minnum.f64(double %each, double %most)",
        "  %counted = select i1 %helped, double %each, double %less",
        "  %apart = fsub double %counted, %mean",
        "  %short = fcmp olt double %apart, 0.0",
        f"  %usual = select i1 %short, double {_double(SHORT_SHARE)}, double {_double(SHARE)}",
        f"  %share = select i1 %helped, double {_double(SHARE)}, double %usual",
        "  %part = fmul double %apart, %share",
        "  %moved = fadd double %mean, %part",
        "  %none = fcmp oeq double %mean, 0.0",
        "  %new = select i1 %none, double %each, double %moved",
        "  store double %new, ptr %place",
        "  ret void",
        "}",
        "define internal i64 @now() noinline {",
        "  %time = alloca { i64, i64 }",
        f"  %said = call i32 @clock_gettime(i32 {time.CLOCK_MONOTONIC}, ptr %time)",
        "  %seconds = load i64, ptr %time",
        "  %place = getelementptr i8, ptr %time, i64 8",
        "  %rest = load i64, ptr %place",
        "  %scaled = mul i64 %seconds, 1000000000",
        "  %now = add i64 %scaled, %rest",
        "  ret i64 %now",
        "}",
    ]


def _asked(name: str, label: str, *arguments: str) -> list[str]:
    """Call a function of XLA's interface about the context; `refused` is whether it failed."""
    return [
        *_call(name, label, "%context", *arguments),
        f"  %{label}.error = call ptr %{label}.function(ptr %{label})",
        f"  %{label}.refused = icmp ne ptr %{label}.error, null",
    ]


def _call(name: str, label: str, *arguments: str) -> list[str]:
    """A function of XLA's interface, and what it is to be called with."""
    size = 16 + 8 * len(arguments)
    lines = [f"  %{label} = alloca i8, i64 {size}, align 8", *store("i64", str(size), f"%{label}", 0)]
    for at, pointer in enumerate(["null", *arguments], 1):
        lines += store("ptr", pointer, f"%{label}", 8 * at)
    return [*lines, *load(f"{label}.function", "ptr", "%interface", function(name))]


def _double(value: float) -> str:
    return f"0x{struct.unpack('>Q', struct.pack('>d', value))[0]:016X}"
