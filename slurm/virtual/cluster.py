"""A virtual cluster: real Slurm (slurmctld, slurmd, munge) on this machine, in one folder, with pretended nodes and GPUs.

    with VirtualCluster() as cluster:
        subprocess.run(["sbatch", ...], env=cluster.environment)

Starts in about 2 s and takes some 40 MB. Nothing of /etc is touched, several may run at once, and all of it ends with the
thread that started it. There is no accounting, and nodes share one network: two jobs must not listen on one port.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import jinja2

from slurm.virtual import daemons

LONGEST_FOLDER = 70  # characters: sockets of Slurm and munge below it have at most 108 (sun_path of unix(7))
PORTS = range(20_000, 32_000)  # below 32,768 the kernel gives none away by itself
START_SECONDS = 60
UP = {"idle", "mixed", "allocated", "completing"}


@dataclass(frozen=True)
class Node:
    name: str
    address: str
    port: int


@dataclass
class VirtualCluster:
    """`folder` None: a new temporary one, which goes when the cluster stops. `lines`: further ones of slurm.conf."""

    folder: Path | None = None
    nodes: int = 4
    gpus: int = 8  # of each node: copies of /dev/null, which Slurm hands out as it does real ones
    gpu_type: str = "h100"
    cpus: int = 16
    memory_mib: int = 64_000
    max_array_size: int = 1001
    grace_seconds: int = 30  # of partition `grace`
    lines: Sequence[str] = ()
    _home: Path | None = field(default=None, init=False)
    _munge: daemons.Daemon | None = field(default=None, init=False)
    _controller: daemons.Daemon | None = field(default=None, init=False)
    _slurmds: dict[str, daemons.Daemon] = field(default_factory=dict, init=False)

    @property
    def home(self) -> Path:
        """Configuration, state and logs of a cluster that was started."""
        if self._home is None:
            raise ValueError("this virtual cluster does not run; start it first: with VirtualCluster() as cluster")
        return self._home

    @property
    def names(self) -> list[str]:
        return [f"node{number}" for number in range(1, self.nodes + 1)]

    @property
    def environment(self) -> dict[str, str]:
        """For sbatch, squeue and all other clients, and for programs that call them."""
        return daemons.environment() | {"SLURM_CONF": str(self.home / "slurm.conf")}

    def start(self) -> Self:
        """What runs is kept, what is down is started; returns when all nodes are up."""
        daemons.check_machine()
        is_new = self._home is None
        self._home = self._home or self._new_home()
        try:
            if is_new:
                self._configure(self._home)
            if not _runs(self._munge):
                self._munge = daemons.start_munge(self.home)
                self._wait_for("munge", (self.home / "munge" / "socket").exists)
            if not _runs(self._controller):
                self.restart_controller()
            for name in self.names:
                if not _runs(self._slurmds.get(name)):
                    self._slurmds[name] = daemons.start_node(self.home, name)
            self._wait_for("all nodes", lambda: all(state in UP for state in self.states().values()))
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Nothing is left: no process, and no folder but the one that was given."""
        for slurmd in self._slurmds.values():
            daemons.cut_power(slurmd)
        for daemon in (self._controller, self._munge):
            if daemon is not None:
                daemons.kill(daemon)
        if self._home is not None and self.folder is None:
            shutil.rmtree(self._home)
        self._home, self._munge, self._controller, self._slurmds = None, None, None, {}

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    # ------------------------------------------------------------------------------------------------ faults

    def fail_node(self, name: str) -> None:
        """Power loss: slurmd, steps and all their processes are gone when this returns. Slurm finds out some 12 s later."""
        daemons.cut_power(self._slurmds[self._known(name)])

    def restore_node(self, name: str) -> None:
        """Power is back, and what Slurm holds against the node is forgiven; returns when it gives jobs to it again."""
        if not _runs(self._slurmds[self._known(name)]):
            self._slurmds[name] = daemons.start_node(self.home, name)
        if self.states()[name].startswith("drain"):
            self.client("scontrol", "update", f"nodename={name}", "state=resume")
        self._wait_for(name, lambda: self.states()[name] in UP)

    def kill_controller(self) -> None:
        """What it has not yet written down, some 5 s of it, is lost, as when its machine goes: of a job that began since then it
        knows nothing, starts it once more, and drains the node where it meets both."""
        if self._controller is not None:
            daemons.kill(self._controller)

    def restart_controller(self) -> None:
        if not _runs(self._controller):
            self._controller = daemons.start_controller(self.home)
        self._wait_for("slurmctld", lambda: "is UP" in self._ask("scontrol", "ping"))
        powered = [name for name, slurmd in self._slurmds.items() if _runs(slurmd)]
        self._wait_for("nodes that are known", lambda: all(self.states()[name] != "unknown" for name in powered))

    # ------------------------------------------------------------------------------------------------ questions

    def client(self, *command: str) -> str:
        """What a client of Slurm prints; its complaint is an error."""
        answer = subprocess.run(command, env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if answer.returncode:
            raise ValueError(f"{' '.join(command)}: exit status {answer.returncode}: {answer.stderr.strip()}")
        return answer.stdout

    def states(self) -> dict[str, str]:
        """Of each node, as sinfo says it: "idle", "mixed", "down", ...; a star is one that does not answer."""
        rows = self._ask("sinfo", "-h", "-N", "-p", "main", "-o", "%N %T").split()
        return dict.fromkeys(self.names, "unknown") | dict(zip(rows[::2], rows[1::2]))

    def _ask(self, *command: str) -> str:
        """As `client`, but a controller that is not there says nothing."""
        try:
            return self.client(*command)
        except ValueError:
            return ""

    def _known(self, name: str) -> str:
        if name not in self._slurmds:
            raise ValueError(f"this virtual cluster has no node {name!r}; it has {', '.join(self._slurmds) or 'none: start it'}")
        return name

    def _wait_for(self, what: str, is_there: Callable[[], bool]) -> None:
        end = time.monotonic() + START_SECONDS
        while not is_there():
            dead = [name for name, daemon in self._daemons().items() if not _runs(daemon)]
            if time.monotonic() > end or dead:
                because = f"{', '.join(dead)} ended" if dead else f"not there after {START_SECONDS} s"
                raise RuntimeError(f"virtual cluster: waited for {what}: {because}\n{self._complaints()}")
            time.sleep(0.05)

    def _daemons(self) -> dict[str, daemons.Daemon]:
        named = {"munged": self._munge, "slurmctld": self._controller}
        return {name: daemon for name, daemon in named.items() if daemon is not None}

    def _complaints(self) -> str:
        lines = [line for log in sorted((self.home / "log").iterdir()) for line in log.read_text(errors="replace").splitlines()]
        return "\n".join([line for line in lines if "error" in line.lower() or "fatal" in line.lower()][-10:])

    # ------------------------------------------------------------------------------------------------ configuration

    def _new_home(self) -> Path:
        home = Path(tempfile.mkdtemp(prefix="midtrain_")) if self.folder is None else self.folder.absolute()
        if len(str(home)) > LONGEST_FOLDER:
            raise ValueError(
                f"virtual cluster: {home} has {len(str(home))} characters, but sockets below it allow {LONGEST_FOLDER}; "
                "choose a shorter folder, or set TMPDIR to one"
            )
        return home

    def _configure(self, home: Path) -> None:
        for name in ("dev", "log", "munge", "pid", "spool", "state"):
            (home / name).mkdir(parents=True, exist_ok=True)
        for name in ("", "munge"):
            (home / name).chmod(0o711)  # munge refuses a socket that other users could not reach
        (home / "munge" / "key").write_bytes(os.urandom(128))
        (home / "munge" / "key").chmod(0o400)
        for number in range(self.gpus):
            _make_device(home / "dev" / f"gpu{number}")
        self._write_configuration(home)

    def _write_configuration(self, home: Path) -> None:
        controller_port, *ports = _free_ports(1 + self.nodes)
        nodes = [Node(name, f"127.0.77.{number}", port) for number, (name, port) in enumerate(zip(self.names, ports), start=1)]
        controller = socket.gethostname().split(".")[0]
        loader = jinja2.FileSystemLoader(Path(__file__).parent)
        template = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined).get_template("slurm.conf.j2")
        settings = {name: getattr(self, name) for name in ("gpus", "gpu_type", "cpus", "memory_mib", "max_array_size")}
        settings |= {"grace_seconds": self.grace_seconds, "lines": self.lines, "controller_port": controller_port}
        (home / "slurm.conf").write_text(template.render(folder=home, controller=controller, nodes=nodes, **settings))
        hosts = [("127.0.0.1", "localhost"), ("127.0.0.1", controller), *((node.address, node.name) for node in nodes)]
        (home / "hosts").write_text("".join(f"{address} {name}\n" for address, name in hosts))
        (home / "plugstack.conf").write_text("")
        (home / "cgroup.conf").write_text("CgroupAutomount=no\n")
        devices = f"AutoDetect=off\nName=gpu Type={self.gpu_type} File={home}/dev/gpu[0-{self.gpus - 1}]\n" if self.gpus else ""
        (home / "gres.conf").write_text(devices)


def _make_device(path: Path) -> None:
    """Slurm takes only devices for GPUs; what /dev/null is (character device 1, 3) will do."""
    if path.is_char_device():
        return
    try:
        os.mknod(path, 0o20666, os.makedev(1, 3))
    except OSError as error:
        raise ValueError(f"pretended GPUs need devices, but {path} cannot be made ({error.strerror}); ask for gpus=0") from None


def _runs(daemon: daemons.Daemon | None) -> bool:
    return daemon is not None and daemon.poll() is None


def _free_ports(number: int) -> list[int]:
    """Several clusters that start at once begin to look at different places."""
    first = os.getpid() * 37 % len(PORTS)
    found = []
    for port in (*PORTS[first:], *PORTS[:first]):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) and _can_listen(port):
                found.append(port)
        if len(found) == number:
            return found
    raise RuntimeError(f"no {number} free ports in {PORTS.start} to {PORTS.stop - 1}")


def _can_listen(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
