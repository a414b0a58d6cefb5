"""Processes wait for each other at an address, before JAX does, which would end them without a word to catch."""

import socket
import time

_HELLO, _GO, _TAKEN = b"jaxes ", b"go", b"taken"


def rendezvous(host: str, port: int, processes: int, process_id: int, timeout: float) -> None:
    """Return when all processes have come; process 0 listens at the address.

    Raises:
        ConnectionError: if they have not within `timeout` seconds, with the address and who is missing.
        ValueError: if two processes have the same id.
    """
    until = time.monotonic() + timeout
    if processes > 1:
        (_host if process_id == 0 else _guest)(host, port, processes, process_id, timeout, until)


def _left(until: float) -> float:
    return max(0.05, until - time.monotonic())


def _host(host: str, port: int, processes: int, process_id: int, timeout: float, until: float) -> None:
    came: dict[int, socket.socket] = {}
    try:
        with socket.create_server(("", port), backlog=processes) as server:
            while len(came) < processes - 1:
                server.settimeout(_left(until))
                guest, _ = server.accept()
                number = _number(guest, until)
                if number is None:  # somebody else
                    guest.close()
                elif number in came or not 0 < number < processes:
                    guest.sendall(_TAKEN)
                    guest.close()
                else:
                    came[number] = guest
        for guest in came.values():
            guest.sendall(_GO)
            guest.settimeout(_left(until))
            guest.recv(1)  # it closes first, so that the port is free at once
    except TimeoutError:
        missing = ", ".join(str(i) for i in range(1, processes) if i not in came)
        raise ConnectionError(f"processes {missing} did not come to {host}:{port} within {timeout:g} s") from None
    except OSError as error:
        raise ConnectionError(f"cannot meet at {host}:{port}: {error.strerror or error}") from None
    finally:
        for guest in came.values():
            guest.close()


def _number(guest: socket.socket, until: float) -> int | None:
    guest.settimeout(min(1.0, _left(until)))
    try:
        word, _, number = guest.recv(32).partition(b" ")
    except OSError:
        return None
    return int(number) if word == _HELLO.strip() and number.strip().isdigit() else None


def _guest(host: str, port: int, processes: int, process_id: int, timeout: float, until: float) -> None:
    while True:
        try:
            with socket.create_connection((host, port), timeout=_left(until)) as connection:
                connection.sendall(_HELLO + str(process_id).encode())
                connection.settimeout(_left(until))
                answer = connection.recv(16)
        except OSError as error:
            if time.monotonic() > until - 0.1:
                reason = error.strerror or error
                raise ConnectionError(f"no coordinator at {host}:{port} within {timeout:g} s: {reason}") from None
            time.sleep(0.1)
            continue
        if answer == _GO:
            return
        if answer == _TAKEN:
            raise ValueError(f"process_id {process_id} must be one of its own, from 1 to {processes - 1}: it is taken")
        if time.monotonic() > until - 0.1:
            raise ConnectionError(
                f"no coordinator at {host}:{port} within {timeout:g} s: another service answers there"
            )
        time.sleep(0.1)
