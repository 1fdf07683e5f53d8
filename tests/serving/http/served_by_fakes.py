"""A process that serves over a gateway which takes its time: port on stdout, then "closed" when it has ended well."""

import sys
import threading
from pathlib import Path

from data_foundry.serving.http.server import address_of, listening_socket, serve
from tests.serving import fakes


class SlowGateway(fakes.FakeGateway):
    """Answers once "answer" stands on stdin."""

    def submit(self, adapter, call_id, row, *, request_id=None):
        answered = super().submit(adapter, call_id, row, request_id=request_id)
        waiting = type(answered)()

        def answer():
            sys.stdin.readline()
            waiting.set_result(answered.result())

        threading.Thread(target=answer).start()
        print("taken", flush=True)
        return waiting


class Service(fakes.FakeService):
    def close(self, drain_seconds=0.0):
        print("closed", flush=True)


if __name__ == "__main__":
    with listening_socket("127.0.0.1", 0) as listening:
        service = Service(fakes.settings(Path(sys.argv[1])), SlowGateway())
        serve(service, fakes.Gate(), listening, lambda: print(address_of(listening), flush=True))
