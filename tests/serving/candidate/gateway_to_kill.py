"""A gateway with candidates that hang, load and wait; prints its and their process numbers, then waits to be killed."""

import json
import time

from misbehaving import loading

from data_foundry.serving.candidate.process import CandidateProcess

if __name__ == "__main__":
    acts = {"waits": "good", "hangs": "hang", "spins": "spin", "loads": "endless"}
    processes = {
        name: CandidateProcess(name, loading(new=act), idle=True, timeout_seconds=1000, memory_mib=1024)
        for name, act in acts.items()
    }
    for name, process in processes.items():
        process.start()
        if name != "loads":
            assert process.wait_ready(30)
            running = process.submit("new", {"text": "call"})
            while name != "waits" and not running.running():
                time.sleep(0.01)
    while not processes["loads"].state()["pid"]:
        time.sleep(0.01)
    print(json.dumps({name: process.state()["pid"] for name, process in processes.items()}), flush=True)
    time.sleep(1000)
