"""Nothing that only POSIX has is used without asking whether it is there."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [
    path
    for room in ("actors", "limner", "messages", "scripts")
    for path in sorted((ROOT / room).rglob("*.py"))
]
MODULES = {"crypt", "curses", "fcntl", "grp", "pty", "pwd", "readline", "resource"}
MODULES |= {"syslog", "termios", "tty"}
NAMES = {
    "os": {
        *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "WNOHANG", "chown", "fchmod"),
        *("fchown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getloadavg", "getpgid"),
        *("getuid", "killpg", "mkfifo", "nice", "openpty", "register_at_fork", "setpgid"),
        *("setsid", "setuid", "statvfs", "sync", "sysconf", "uname", "wait", "wait3", "wait4"),
    },
    "signal": {
        *("SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGSTOP"),
        *("SIGTSTP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "alarm", "pause", "pthread_kill"),
        *("pthread_sigmask", "setitimer", "sigwait"),
    },
}


def unguarded(source):
    """Yield what of POSIX is used outside of an `if` that asks for it."""
    asking = ("sys.platform", "os.name", "hasattr(")

    def visit(node, asked):
        if isinstance(node, ast.If | ast.IfExp):
            asked = asked or any(each in ast.unparse(node.test) for each in asking)
        elif isinstance(node, ast.FunctionDef | ast.Module):
            # what follows a `return` or `raise` for the other platforms is asked for too
            for statement in node.body:
                leaves = isinstance(statement, ast.If) and isinstance(
                    statement.body[-1], ast.Return | ast.Raise
                )
                visit(statement, asked)
                if leaves:
                    asked = asked or any(each in ast.unparse(statement.test) for each in asking)
            return
        match node:
            case ast.Import(names=names) if not asked:
                found.extend(each.name for each in names if each.name in MODULES)
            case ast.ImportFrom(module=module) if module in MODULES and not asked:
                found.append(module)
            case ast.Attribute(value=ast.Name(id=module), attr=name) if not asked:
                if name in NAMES.get(module, ()):
                    found.append(f"{module}.{name}")
        for child in ast.iter_child_nodes(node):
            visit(child, asked)

    found = []
    visit(ast.parse(source), asked=False)
    return found


def test_no_room_needs_what_only_posix_has():
    found = {
        str(path.relative_to(ROOT)): names
        for path in SOURCES
        if (names := unguarded(path.read_text("utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import fcntl", ["fcntl"]),
        ("from resource import getrusage", ["resource"]),
        ("def f():\n    os.killpg(1, 2)", ["os.killpg"]),
        ("if ready:\n    os.fork()", ["os.fork"]),
        ("x = signal.SIGHUP", ["signal.SIGHUP"]),
        ("if sys.platform != 'win32':\n    import fcntl", []),
        ("def f():\n    if sys.platform == 'win32':\n        return\n    os.fork()", []),
        ("x = os.O_NOFOLLOW if hasattr(os, 'O_NOFOLLOW') else 0", []),
        ("x = getattr(signal, 'SIGHUP', None)", []),
    ],
)
def test_what_only_posix_has_is_found(source, found):
    assert unguarded(source) == found
