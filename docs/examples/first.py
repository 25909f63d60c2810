from virtsim.testing import simulate

SLOW = [{"at": "start", "memory": {"zeroing": "3.83GiB/s"}}]  # the host zeroes 402 GiB before QEMU answers


async def story(sim):
    huge = await sim.define("huge", memory="402GiB", hugepages="1GiB")
    await huge.create()
    print(f"running after {sim.now_ms():.0f} ms:", await huge.state())
    await huge.destroy()
    print(*sim.events(), sep="\n")


simulate(story, policy="backoff-adaptive", fake=SLOW)
