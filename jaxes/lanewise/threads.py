"""Chunks of lanes shared out among the threads of XLA's pool.

The thread that XLA called takes chunks from the first one up, others take them from the last one down, so that each
meets much the same memory from call to call. Nobody waits for a thread that has not begun: where the others are busy,
the first one does everything. What a lane computes does not depend on who does it.
"""

import sys

from jaxes.lanewise.frame import function, load, store

# Operations on vectors that are worth a thread: some 30 microseconds, several times what it takes to wake one.
ENOUGH = 100_000
# Fields of a job, offsets in bytes: chunks taken so far, by the first thread, by others, and done; how many threads
# know of the job, of which the last one frees it; how many chunks there are. Others follow from `FIELDS` on.
TAKEN, UP, DOWN, DONE, HOLDERS, CHUNKS, FIELDS = 0, 8, 16, 24, 32, 40, 48
YIELDS = sys.platform != "win32"


def declared() -> set[str]:
    """What the functions call."""
    return {"declare i64 @llvm.umin.i64(i64, i64)", *(["declare i32 @sched_yield()"] if YIELDS else [])}


def shared_out() -> str:
    """`@shared_out(job, chunks, operations, interface, context)`: `@work` on a job, which is freed, by some threads."""
    lines = [
        "define internal void @shared_out("
        "ptr %job, i64 %chunks, i64 %operations, ptr %interface, ptr %context) noinline {",
        "entry:",
        *(line for field in (TAKEN, UP, DOWN, DONE) for line in store("i64", "0", "%job", field)),
        *store("i64", "1", "%job", HOLDERS),
        *store("i64", "%chunks", "%job", CHUNKS),
        "  %all = mul i64 %chunks, %operations",
        f"  %worth = udiv i64 %all, {ENOUGH}",
        "  %useful = call i64 @llvm.umin.i64(i64 %worth, i64 %chunks)",
        "  %several = icmp ugt i64 %useful, 1",
        "  br i1 %several, label %ask, label %begin",
        "ask:",
        "  %pool = alloca i64",
        "  store i64 1, ptr %pool",
        *_asked("ThreadPool_NumThreads", "threads", "%pool"),
        "  br i1 %threads.refused, label %unknown, label %enlist",
        "unknown:",
        "  call void @dropped(ptr %threads.error, ptr %interface)",
        "  br label %begin",
        "enlist:",
        "  %there = load i64, ptr %pool",
        "  %wanted = call i64 @llvm.umin.i64(i64 %useful, i64 %there)",
        "  %some = icmp sgt i64 %wanted, 1",
        "  br i1 %some, label %helpers, label %begin",
        "helpers:",
        "  %helper = phi i64 [ 1, %enlist ], [ %helper.next, %helped ]",
        f"  %held = getelementptr i8, ptr %job, i64 {HOLDERS}",
        "  %before = atomicrmw add ptr %held, i64 1 monotonic",
        *_asked("ThreadPool_Schedule", "schedule", "@task", "%job"),
        "  br i1 %schedule.refused, label %unhelped, label %helped",
        "unhelped:",
        "  %after = atomicrmw sub ptr %held, i64 1 monotonic",
        "  call void @dropped(ptr %schedule.error, ptr %interface)",
        "  br label %begin",
        "helped:",
        "  %helper.next = add i64 %helper, 1",
        "  %more = icmp ult i64 %helper.next, %wanted",
        "  br i1 %more, label %helpers, label %begin",
        "begin:",
        "  call void @work(ptr %job, i64 %chunks, i1 false)",
        f"  %finished = getelementptr i8, ptr %job, i64 {DONE}",
        "  br label %wait",
        "wait:",
        "  %done = load atomic i64, ptr %finished acquire, align 8",
        "  %all.done = icmp eq i64 %done, %chunks",
        "  br i1 %all.done, label %end, label %again",
        "again:",
        *(["  %yielded = call i32 @sched_yield()"] if YIELDS else []),
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
