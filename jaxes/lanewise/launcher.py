"""The function that XLA calls on an NVIDIA card: it launches a kernel on XLA's stream, and waits for nothing.

It runs on the host, as machine code, and reads XLA's call frame as `jaxes.lanewise.frame` tells.
"""

from jaxes.lanewise.frame import CONTEXT, DATA, DIMENSIONS, INTERFACE, entered, load

# Offsets, in bytes, of two functions in XLA's interface.
ERROR_CREATE, STREAM_GET = 48, 80
INTERNAL = 13  # XLA's code of an error
CAPTURABLE = 1  # the trait of a handler that always launches the same, which may become part of a CUDA graph


def launcher(symbol: str, inputs: int, outputs: int, *, kernel: int, launch: int, block: int) -> str:
    """The handler's source.

    Args:
        symbol: its name.
        inputs: how many arrays come in.
        outputs: how many go out. The first one's first axis is the lanes.
        kernel: CUDA's handle of the kernel.
        launch: the address of `cuLaunchKernel`.
        block: threads in a block.
    """
    message = f"jaxes.lanewise: the kernel {symbol} could not be launched"
    size = len(message) + 1
    places = [("arguments", k) for k in range(inputs)] + [("results", k) for k in range(outputs)]
    lines = [
        f'@message = private constant [{size} x i8] c"{message}\\00"',
        *entered(symbol, CAPTURABLE),
        *load("interface", "ptr", "%frame", INTERFACE),
        *load("context", "ptr", "%frame", CONTEXT),
        "  %asking = alloca { i64, ptr, ptr, ptr }",
        "  store { i64, ptr, ptr, ptr } { i64 32, ptr null, ptr null, ptr null }, ptr %asking",
        "  %asking.context = getelementptr i8, ptr %asking, i64 16",
        "  store ptr %context, ptr %asking.context",
        *load("stream_get", "ptr", "%interface", STREAM_GET),
        "  %refused = call ptr %stream_get(ptr %asking)",
        "  %has_stream = icmp eq ptr %refused, null",
        "  br i1 %has_stream, label %streamed, label %unstreamed",
        "unstreamed:",
        "  ret ptr %refused",
        "streamed:",
        *load("stream", "ptr", "%asking", 24),
        *load("first", "ptr", "%results", 0),
        *load("dimensions", "ptr", "%first", DIMENSIONS),
        *load("lanes", "i64", "%dimensions", 0),
        "  %empty = icmp eq i64 %lanes, 0",
        "  br i1 %empty, label %nothing, label %some",
        "some:",
        "  %count = alloca i32",
        "  %lanes32 = trunc i64 %lanes to i32",
        "  store i32 %lanes32, ptr %count",
        f"  %beyond = add i32 %lanes32, {block - 1}",
        f"  %blocks = udiv i32 %beyond, {block}",
        f"  %parameters = alloca [{1 + len(places)} x ptr]",
        "  store ptr %count, ptr %parameters",
    ]
    for at, (which, k) in enumerate(places, 1):
        lines += [
            *load(f"{which}{k}", "ptr", f"%{which}", 8 * k),
            f"  %data{at} = getelementptr i8, ptr %{which}{k}, i64 {DATA}",
            f"  %parameter{at} = getelementptr ptr, ptr %parameters, i64 {at}",
            f"  store ptr %data{at}, ptr %parameter{at}",
        ]
    lines += [
        f"  %launch = inttoptr i64 {launch} to ptr",
        f"  %kernel = inttoptr i64 {kernel} to ptr",
        "  %code = call i32 %launch(ptr %kernel, i32 %blocks, i32 1, i32 1, "
        f"i32 {block}, i32 1, i32 1, i32 0, ptr %stream, ptr %parameters, ptr null)",
        "  %launched = icmp eq i32 %code, 0",
        "  br i1 %launched, label %nothing, label %failed",
        "failed:",
        "  %error = alloca { i64, ptr, ptr, i32 }",
        f"  store {{ i64, ptr, ptr, i32 }} {{ i64 32, ptr null, ptr @message, i32 {INTERNAL} }}, ptr %error",
        *load("error_create", "ptr", "%interface", ERROR_CREATE),
        "  %made = call ptr %error_create(ptr %error)",
        "  ret ptr %made",
        "}",
    ]
    return "\n".join(lines)
