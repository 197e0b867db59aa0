"""Head offices as processes: `karb-central run` in a folder of its own."""

import json
import signal
import ssl

from tests.central.machine import copied
from tests.e2e.hostile import ask, dump
from tests.e2e.launcher import CENTRAL


class HeadOffice:
    """`karb-central` in a folder."""

    def __init__(self, launcher, data):
        self.launcher, self.data, self.process, self.port = launcher, data, None, 0

    @classmethod
    def copy_of(cls, launcher, made, target):
        return cls(launcher, copied(made, target))

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def address(self):
        return "127.0.0.1", self.port

    @property
    def context(self):
        """For a client without a certificate."""
        return ssl.create_default_context(cafile=str(self.data / "authority.pem"))

    def ask(self, *request, **more):
        return ask(self.url, *request, context=self.context, **more)

    def dump(self):
        """Every table, but when a node was last heard of, and which file this is."""
        tables = dump(self.data / "ledger.db", "contacts")
        tables["own"] = [row for row in tables["own"] if row[1] != "place"]
        return tables

    def karb(self, *words):
        """Run a command to its end."""
        done = self.launcher.start(CENTRAL, *words, "--data", self.data)
        done.wait()
        return done

    def token(self, scope):
        return self.command("token", "create", "--scope", scope, "--name", "t")["token"]

    def command(self, *words, status=0):
        done = self.karb(*words, "--json")
        assert done.returncode == status, f"{words}: {done.returncode} {done.stdout} {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip().startswith("{") else None

    def start(self, *more):
        listen = f"127.0.0.1:{self.port}"
        self.process = self.launcher.start(
            CENTRAL, "run", "--data", self.data, "--listen", listen, *more
        )
        assert "https://" in self.process.first_line()
        url = json.loads((self.data / "run.json").read_text())["url"]
        self.port = int(url.rsplit(":", 1)[1])
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process is not None:
            self.process.end(how)
            self.process = None

    def code(self, store="S1"):
        return self.command("enrol-code", "--store", store)["code"]
