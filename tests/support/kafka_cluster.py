"""Three Apache Kafka nodes on this machine: RF 3, min ISR 2, each one killed, paused, stopped and started at will.

For tests, and for programs that restart brokers under load: ``with kafka_cluster(directory) as cluster``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from importlib import resources
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from operations.broker.jars import kafka_jars, user_cache
from operations.broker.java import find_java
from operations.supervisor.ports import free_port
from operations.supervisor.processes import Process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from confluent_kafka.admin import ClusterMetadata

NODES = (1, 2, 3)
_CLUSTER_ID = "aGVhZHJhY2UtY2x1c3RlcQ"
_JVM = ("-Xms64m", "-Xmx288m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_READY_SECONDS = 240.0
_STOP_SECONDS = 60.0
_CONFIG = """process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
"""
_PROPERTIES = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "offsets.topic.num.partitions": "6",
    "transaction.state.log.num.partitions": "6",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "16777216",
}
"""Sizes for one machine; all times are Kafka's own, among them the groups' session of 45 s."""


class KafkaCluster:
    """Broker and controller in one process for each node.

    Args:
        home: directory of configuration, data and logs; the data outlives a stop.
        properties: more of the brokers' properties, or others than ours.
    """

    def __init__(self, home: Path, properties: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.ports = {node: free_port() for node in NODES}
        self._properties = _PROPERTIES | dict(properties or {})
        self._controllers = {node: free_port() for node in NODES}
        self._java = [
            "env",
            "LC_ALL=C.UTF-8",
            str(find_java()),
            *_JVM,
            f"-Dlog4j2.configurationFile={resources.files('operations.broker').joinpath('log4j2.properties')}",
            "-cp",
            f"{kafka_jars(user_cache(), print)}/*",
        ]
        self._nodes = {
            node: Process(f"kafka-{node}", [*self._java, "kafka.Kafka", str(self._config(node))], log=self.log(node))
            for node in NODES
        }

    @property
    def bootstrap_servers(self) -> str:
        """All three, for clients."""
        return ",".join(f"127.0.0.1:{port}" for port in self.ports.values())

    def log(self, node: int) -> Path:
        """Where a node writes its log."""
        return self.home / f"kafka-{node}.log"

    def start(self) -> None:
        """Format what is not formatted, start every node that does not run, and wait until all are in sync."""
        self._configure()
        if not all(self._formatted(node) for node in NODES):
            self._format()
        for node in NODES:
            self.start_node(node)
        self.wait_in_sync()

    def close(self) -> None:
        """End every node at once: the last ones of a quorum would wait for it while they shut down."""
        for process in self._nodes.values():
            process.kill()

    def start_node(self, node: int) -> None:
        """Start a node that does not run; returns at once."""
        if not self._nodes[node].running():
            self._nodes[node].start()

    def stop_node(self, node: int) -> None:
        """SIGTERM, a controlled shutdown: the node hands its leaderships on first."""
        self._nodes[node].terminate()
        if self._nodes[node].wait(_STOP_SECONDS) is None:
            raise TimeoutError(f"node {node} does not stop: {self._nodes[node].last_words()}")

    def kill_node(self, node: int) -> None:
        """SIGKILL."""
        self._nodes[node].kill()

    def pause_node(self, node: int) -> None:
        """SIGSTOP: its connections stay open and nothing is answered."""
        self._signal(self._nodes[node], signal.SIGSTOP)

    def resume_node(self, node: int) -> None:
        """SIGCONT."""
        self._signal(self._nodes[node], signal.SIGCONT)

    def rolling_restart(self) -> None:
        """Stop and start one node after the other, as an upgrade does; the next one when all are in sync again."""
        for node in NODES:
            self.stop_node(node)
            self.start_node(node)
            self.wait_in_sync()

    def leaders(self) -> dict[tuple[str, int], int]:
        """Topic and partition to the node that leads it; -1 where none does."""
        return {
            (name, number): partition.leader
            for name, topic in self._metadata(self.bootstrap_servers).topics.items()
            for number, partition in topic.partitions.items()
        }

    def coordinator(self, group: str) -> int:
        """The node that leads the group's partition of ``__consumer_offsets``, found as Kafka does it."""
        code = 0
        for letter in group:
            code = (31 * code + ord(letter)) & 0xFFFFFFFF
        count = int(self._properties["offsets.topic.num.partitions"])
        return self.leaders()["__consumer_offsets", (code & 0x7FFFFFFF) % count]

    def wait_given_up(self, gone: int, timeout: float = _READY_SECONDS) -> None:
        """Wait until the others no longer count a node that has gone among the replicas in sync.

        Before that, at the end of the node's session, nothing that it has a replica of can be acknowledged by all.
        """
        deadline = time.monotonic() + timeout
        while any(gone in isr for node in NODES if node != gone for isr in self._in_sync_replicas(node)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"node {gone} still counts as in sync after {timeout:g} s")
            time.sleep(0.1)

    def _in_sync_replicas(self, node: int) -> list[list[int]]:
        """Of every partition, as a node knows them."""
        found = self._metadata(f"127.0.0.1:{self.ports[node]}").topics.values()
        return [partition.isrs for topic in found for partition in topic.partitions.values()]

    def wait_in_sync(self, timeout: float = _READY_SECONDS) -> float:
        """Wait until every node serves and every partition has a leader and all its replicas in sync.

        Returns:
            Seconds that it took.
        """
        begun = time.monotonic()
        while not self._in_sync():
            for process in self._nodes.values():
                if process.exit_status() is not None:
                    raise RuntimeError(f"{process.name} ended: {process.last_words()}")
            if time.monotonic() - begun > timeout:
                raise TimeoutError(f"the cluster is not in sync after {timeout:g} s")
            time.sleep(0.1)
        return time.monotonic() - begun

    def _in_sync(self) -> bool:
        """Whether every node says so: those that stayed know of one that has gone only after its session."""
        try:
            return all(self._agrees(node) for node in NODES)
        except KafkaException:
            return False

    def _agrees(self, node: int) -> bool:
        metadata = self._metadata(f"127.0.0.1:{self.ports[node]}", timeout=5)
        return len(metadata.brokers) == len(NODES) and all(
            partition.leader >= 0 and len(partition.isrs) == len(partition.replicas)
            for topic in metadata.topics.values()
            for partition in topic.partitions.values()
        )

    @staticmethod
    def _metadata(bootstrap_servers: str, timeout: float = 10) -> ClusterMetadata:
        # A client of its own for each look: one that lost its brokers waits before it tries them again.
        quiet = {"log_level": 0, "error_cb": lambda _error: None}
        return AdminClient({"bootstrap.servers": bootstrap_servers, **quiet}).list_topics(timeout=timeout)

    def _configure(self) -> None:
        voters = ",".join(f"{node}@127.0.0.1:{port}" for node, port in self._controllers.items())
        properties = "".join(f"{name}={value}\n" for name, value in self._properties.items())
        for node in NODES:
            own = _CONFIG.format(
                node=node,
                voters=voters,
                port=self.ports[node],
                controller=self._controllers[node],
                data=self._data(node),
            )
            self._config(node).parent.mkdir(parents=True, exist_ok=True)
            self._config(node).write_text(own + properties, encoding="ascii")

    def _format(self) -> None:
        """Format the first node's storage and copy it: a JVM for each takes seconds."""
        first = NODES[0]
        arguments = ["kafka.tools.StorageTool", "format", f"--cluster-id={_CLUSTER_ID}", "-c", str(self._config(first))]
        subprocess.run([*self._java, *arguments], check=True, capture_output=True, timeout=_READY_SECONDS)
        formatted = (self._data(first) / "meta.properties").read_text(encoding="ascii")
        for node in NODES[1:]:
            shutil.copytree(self._data(first), self._data(node))
            directory = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
            lines = [line for line in formatted.splitlines() if not line.startswith(("node.id=", "directory.id="))]
            lines += [f"node.id={node}", f"directory.id={directory}"]
            (self._data(node) / "meta.properties").write_text("\n".join(lines) + "\n", encoding="ascii")

    def _formatted(self, node: int) -> bool:
        return (self._data(node) / "meta.properties").exists()

    def _config(self, node: int) -> Path:
        return self.home / f"kafka-{node}" / "server.properties"

    def _data(self, node: int) -> Path:
        return self.home / f"kafka-{node}" / "data"

    @staticmethod
    def _signal(process: Process, number: int) -> None:
        if process.pid is not None and process.running():
            os.kill(process.pid, number)


@contextlib.contextmanager
def kafka_cluster(home: Path, properties: Mapping[str, str] | None = None) -> Iterator[KafkaCluster]:
    """A cluster in sync for the length of a with block; start it from a thread that lives as long."""
    cluster = KafkaCluster(home, properties)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
